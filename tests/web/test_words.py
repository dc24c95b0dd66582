"""The catalogues hold what the sources say, and every translation fits its text."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from webapp.wording import catalogues, language

#: `%(name)s` of gettext and `{name}` of sentences and scripts.
_BLANK = re.compile(r"%\((\w+)\)[sd]|\{(\w+)[^}]*\}")
_CATALOGUES = sorted(language.TRANSLATIONS.glob("*/LC_MESSAGES/messages.po"))


def test_the_catalogues_are_those_of_the_sources() -> None:
    stale = [
        path.name
        for path, data in catalogues.made()
        if not path.exists() or path.read_bytes() != data
    ]
    assert stale == [], "a text came, changed or went: run `python3 manage.py words`"


@pytest.mark.parametrize("path", _CATALOGUES, ids=lambda path: path.parent.parent.name)
def test_a_translation_has_the_blanks_of_its_text(path: Path) -> None:
    wrong = [
        (text, given)
        for text, given in _translations(path)
        if sorted(_blanks(text)) != sorted(_blanks(given))
    ]
    assert wrong == []


@pytest.mark.parametrize("path", _CATALOGUES, ids=lambda path: path.parent.parent.name)
def test_a_translation_brings_no_markup(path: Path) -> None:
    found = ((set(text), set(given), given) for text, given in _translations(path))
    assert [given for text, new, given in found if (new - text) & set("<>&")] == []


@pytest.mark.parametrize("path", _CATALOGUES, ids=lambda path: path.parent.parent.name)
def test_a_language_that_is_offered_says_nearly_everything(path: Path) -> None:
    compiled = path.with_suffix(".mo").exists()
    assert compiled == (catalogues.share(catalogues.read(path)) >= catalogues.ENOUGH)


def test_lazy_texts_take_no_values() -> None:
    """A page takes a lazy text as HTML: what somebody typed must not come into it.

    Outside of functions nothing that somebody typed is known.
    """
    files = sorted((catalogues.ROOT / "webapp").rglob("*.py"))
    assert [f"{file.name}:{line}" for file in files for line in _lazy_with_values(file)] == []


def test_no_text_hides_in_an_f_string() -> None:
    """Whatever makes the catalogues looks at calls, and finds none in there."""
    files = sorted((catalogues.ROOT / "webapp").rglob("*.py"))
    assert [f"{file.name}:{line}" for file in files for line in _hidden(file)] == []


def _hidden(file: Path) -> Iterator[int]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr))
    for node in (inner for string in strings for inner in ast.walk(string)):
        if isinstance(node, ast.Call) and _name(node.func) in {"_", "_l", "gettext", "say"}:
            yield node.lineno


def _translations(path: Path) -> Iterator[tuple[str, str]]:
    for message in catalogues.read(path):
        ids: Any = message.id if isinstance(message.id, tuple) else (message.id,)
        given: Any = message.string
        strings = given if isinstance(given, tuple | list) else (given,)
        for text, string in zip(ids, strings, strict=False):
            if text and string:
                yield str(text), str(string)


def _blanks(text: str) -> list[str]:
    return [first or second for first, second in _BLANK.findall(text)]


def _lazy_with_values(file: Path) -> Iterator[int]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "flask_babel"
        for alias in node.names
        if alias.name.startswith("lazy_")
    }
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    for node in (inner for function in functions for inner in ast.walk(function)):
        if isinstance(node, ast.Call) and node.keywords and _name(node.func) in names:
            yield node.lineno


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else ""
