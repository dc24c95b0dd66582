"""Where a page is, and where a form leads back to: a page of this site, whatever was asked for."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from flask import request

_USUAL_PORTS = {"http": ":80", "https": ":443"}
#: An address below the path of this site, fit for a header.
_OWN_PAGE = re.compile(r"/admin/[^\x00-\x20\x7f-\x9f\\]*")


#: The field of the small forms in the frame: whoever reads the fields of a whole page must
#: not take theirs for the `url` of the form that the page is about.
HERE = "here"


def this_page() -> str:
    """Return the address of this page, with what it was asked and the path before it."""
    return request.script_root + request.full_path.rstrip("?")


def asked_for(field: str = "url") -> str:
    """Return the page that the request names in `field`, empty unless it is one of ours."""
    asked = request.values.get(field, "")
    below = request.script_root
    is_ours = asked.startswith(below) and _OWN_PAGE.fullmatch(asked.removeprefix(below))
    return asked if is_ours else ""


def path_of(url: str) -> str:
    """Return `url` without its host: the path, with what follows it."""
    parts = urlsplit(url)
    if not (parts.scheme or parts.netloc or url.startswith(("//", "/\\"))):
        return url
    # Two slashes in front would be a host again.
    path = "/" + parts.path.lstrip("/\\")
    return urlunsplit(("", "", path, parts.query, parts.fragment))


def is_this_host(url: str) -> bool:
    """Whether `url` begins with the host of this request, however both are written."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    # The host of a request never holds the port that its scheme has anyway.
    plain = parts.netloc.lower().removesuffix(_USUAL_PORTS.get(parts.scheme, ""))
    return plain == request.host.lower()
