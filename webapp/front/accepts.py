"""What kind of answer is asked for, read as HTTP says (RFC 9110, section 12.5.1)."""

from __future__ import annotations

from flask import request

HTML, JSON = "text/html", "application/json"


def json_first() -> bool:
    """Return whether JSON is wanted rather than a page.

    Of two that are wanted alike the one that is named counts more than a wildcard; a page
    is what is left.
    """
    return request.accept_mimetypes.best_match((HTML, JSON), HTML) == JSON


def names(media_type: str, rather_than: str) -> bool:
    """Return whether a media type is named, and wanted at least as much as another."""
    accepted = request.accept_mimetypes
    is_named = any(name == media_type for name, quality in accepted if quality > 0)
    return is_named and accepted[media_type] >= accepted[rather_than]
