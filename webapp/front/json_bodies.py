"""What may come as JSON: the fields of a form by their names, nothing nested.

Only signing in takes it. The library behind that expects texts and breaks over all else.
"""

from __future__ import annotations

from flask import Flask, abort, request

from webapp.front import guard


def configure(app: Flask) -> None:
    """Refuse other bodies before anything reads them."""
    app.before_request(_check)


def _check() -> None:
    has_body = request.content_length or request.method not in guard.SAFE_METHODS
    if has_body and request.is_json and not _is_form(_body()):
        abort(400)


def _body() -> object:
    """Return what was sent, None if it cannot be read or is nested too deeply to be."""
    try:
        return request.get_json(silent=True)
    except RecursionError:
        return None


def _is_form(body: object) -> bool:
    return isinstance(body, dict) and all(map(_is_field, body, body.values()))


def _is_field(name: str, value: object) -> bool:
    return _is_text(name) and (isinstance(value, bool) or _is_text(value))


def _is_text(value: object) -> bool:
    """Whether a value is a text that every database takes."""
    if not isinstance(value, str) or "\x00" in value:
        return False
    # JSON can hold halves of characters, which are no text.
    return not any("\ud800" <= character <= "\udfff" for character in value)
