"""Whose language a page speaks: catalogues, and the choice between them.

Texts of the web go through `gettext`; sentences of `database` carry their pattern
(`database.sentences`) and are looked up here when they are shown. What machines read
(`/api/`, logs, exports) stays English.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, has_request_context, request
from flask_babel import Babel, gettext

from database.sentences import Sentence

TRANSLATIONS = Path(__file__).parent / "translations"
#: The language that every text is written in.
ENGLISH = "en"


def configure(app: Flask) -> None:
    """Set up the catalogues and let every page choose its language."""
    Babel(
        app,
        default_locale=ENGLISH,
        default_translation_directories=str(TRANSLATIONS),
        locale_selector=_chosen,
    )
    app.jinja_env.filters["in_words"] = in_words
    app.jinja_env.globals["language"] = _chosen


def in_words(sentence: str) -> str:
    """Return a sentence of `database` in the language of the page; other text as it is."""
    if isinstance(sentence, Sentence):
        return sentence.translated(gettext)
    return sentence


def _chosen() -> str:
    """Return the language of this request: one with a catalogue that the browser asks for."""
    if not has_request_context() or request.path.startswith("/api/"):
        return ENGLISH
    return request.accept_languages.best_match([ENGLISH, *available()]) or ENGLISH


def available() -> list[str]:
    """Return the languages beside English that can be chosen."""
    return sorted(path.parent.parent.name for path in TRANSLATIONS.glob("*/LC_MESSAGES/*.mo"))
