"""Texts that are evaluated when they are shown: constants, labels and help of forms."""

from __future__ import annotations

from typing import Any

from flask_babel import gettext
from flask_babel.speaklater import LazyString
from markupsafe import escape


class _Text(LazyString):  # type: ignore[misc]
    """A text that templates escape like any other; the library's own passes as markup."""

    def __html__(self) -> str:
        return str(escape(str(self)))


def lazy_gettext(text: str, **values: Any) -> _Text:
    """Return `text` in the language of the page that will show it."""
    return _Text(gettext, text, **values)
