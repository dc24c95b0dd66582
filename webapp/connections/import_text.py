"""The text of an import, the same from the page, a file and standard input."""

from __future__ import annotations

import json

from flask_babel import gettext as _


class NoTextError(Exception):
    """The bytes are no text; the message says in one sentence where, and what helps."""


def decoded(content: bytes) -> str:
    """Return JSON as text, with or without a byte order mark. Raises NoTextError."""
    # UTF-8 as a rule; UTF-16 and UTF-32, as some editors save, show by their zero bytes.
    encoding = json.detect_encoding(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        sentence = _("This is not UTF-8 text (line %(line)s). Save it as UTF-8.", line=line)
        raise NoTextError(sentence) from None
