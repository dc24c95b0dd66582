"""Where a form leads back to: a page of this site, whatever was asked for."""

from __future__ import annotations

import re

from flask import request

#: An address that is on this site, and fit for a header.
_OWN_PAGE = re.compile(r"/admin/[^\x00-\x20\x7f-\x9f\\]*")


def asked_for() -> str:
    """Return the page that the request names in `url`, empty unless it is one of ours."""
    asked = request.values.get("url", "")
    return asked if _OWN_PAGE.fullmatch(asked) else ""
