"""Where a form leads back to: a page of this site, whatever was asked for."""

from __future__ import annotations

import re

from flask import request

#: An address that is on this site, and fit for a header.
_OWN_PAGE = re.compile(r"/admin/[^\x00-\x20\x7f-\x9f\\]*")


#: The field of the small forms in the frame: whoever reads the fields of a whole page must
#: not take theirs for the `url` of the form that the page is about.
HERE = "here"


def asked_for(field: str = "url") -> str:
    """Return the page that the request names in `field`, empty unless it is one of ours."""
    asked = request.values.get(field, "")
    return asked if _OWN_PAGE.fullmatch(asked) else ""
