"""Whose language a page speaks: catalogues, and the choice between them.

Texts of the web go through `gettext`; sentences of `database` carry their pattern
(`database.sentences`) and are looked up here when they are shown. What machines read
(`/api/`, logs, exports) stays English.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from babel import Locale, numbers
from babel.core import get_global
from flask import Flask, g, has_request_context, redirect, request, url_for
from flask_babel import Babel, get_locale, get_translations, gettext

from database.sentences import Sentence
from webapp.front import back
from webapp.wording import looks

TRANSLATIONS = Path(__file__).parents[1] / "translations"
#: The language that every text is written in.
ENGLISH = "en"
#: What somebody chose; without it the browser's settings count.
CHOICE = "language"


def configure(app: Flask) -> None:
    """Set up the catalogues and let every page choose its language."""
    Babel(
        app,
        default_locale=ENGLISH,
        default_translation_directories=str(TRANSLATIONS),
        locale_selector=lambda: locale_of(chosen()),
    )
    app.jinja_env.install_gettext_callables(  # type: ignore[attr-defined]
        lambda text: _catalogue().ugettext(text),
        lambda one, many, number: _catalogue().ungettext(one, many, number),
        newstyle=True,
    )
    app.jinja_env.filters["in_words"] = in_words
    app.jinja_env.globals.update(language=chosen, languages=choices)
    app.add_url_rule("/admin/language", "language", _choose, methods=["POST"])


def _catalogue() -> Any:
    """Return the texts of the page: looked for once a request, not for each of a thousand texts."""
    if "catalogue" not in g:
        g.catalogue = get_translations()
    return g.catalogue


def in_words(sentence: str) -> str:
    """Return a sentence of `database` in the language of the page; other text as it is."""
    if isinstance(sentence, Sentence):
        return sentence.translated(gettext, digits)
    return str(sentence)


def digits(number: str) -> str:
    """Return an English number, such as 1,234.5, as the language of the page writes it."""
    locale = get_locale()
    return number if locale is None else number.translate(_separators(str(locale)))


def percent_sign() -> str:
    """Return what the language of the page puts after the number of a percentage."""
    return _percent_sign(str(get_locale() or ENGLISH))


@cache
def _percent_sign(locale: str) -> str:
    return str(numbers.format_percent(0, locale=locale)).removeprefix("0")


@cache
def _separators(locale: str) -> dict[int, str]:
    return {
        ord(","): numbers.get_group_symbol(locale),
        ord("."): numbers.get_decimal_symbol(locale),
    }


def chosen() -> str:
    """Return the language of this request: the one chosen, else one that the browser asks for."""
    if not has_request_context() or request.path.startswith("/api/"):
        return ENGLISH
    offered = [ENGLISH, *available()]
    wanted = looks.chosen(CHOICE)
    return wanted if wanted in offered else request.accept_languages.best_match(offered) or ENGLISH


@cache
def available() -> tuple[str, ...]:
    """Return the languages beside English that can be chosen."""
    found = TRANSLATIONS.glob("*/LC_MESSAGES/messages.mo")
    return tuple(sorted(path.parent.parent.name for path in found))


def choices() -> list[tuple[str, str]]:
    """Return (code, name in the language itself) of all that can be chosen."""
    codes = [ENGLISH, *available()]
    return [(code, str(Locale.parse(code).get_language_name(code)).capitalize()) for code in codes]


@cache
def locale_of(language: str) -> str:
    """Return a language with its main country: libraries keep some catalogues under both."""
    if language == ENGLISH or "_" in language:
        return language
    likely = str(get_global("likely_subtags").get(language, language))
    return f"{language}_{likely.rpartition('_')[2]}" if "_" in likely else language


def _choose() -> Any:
    """Remember the language that a form names, and go back to where it stood."""
    answer = redirect(back.asked_for(back.HERE) or url_for("home"))
    wanted = request.form.get("language", "")
    if wanted in (ENGLISH, *available()):
        looks.keep(answer, CHOICE, wanted)
    else:
        looks.forget(answer, CHOICE)
    return answer
