"""The catalogues of all languages, made from the sources: `manage.py words`.

    translations/messages.pot                  every text
    translations/LANGUAGE/LC_MESSAGES/*.po     its translations, kept while texts come and go
    translations/LANGUAGE/LC_MESSAGES/*.mo     the same as the web reads them
    static/words/LANGUAGE.js                   those that scripts show

The same sources make the same bytes: no dates, no line numbers, sorted. The .mo and the .js of
a language are there once enough is translated; from then on it can be chosen.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages import Catalog, mofile, pofile
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir

from database.outcomes import OUTCOMES
from database.reasons import REASONS
from webapp.wording.language import TRANSLATIONS

ROOT = TRANSLATIONS.parent.parent
SCRIPTS = ROOT / "static" / "words"
#: The share of the texts that a language needs before it is offered.
ENOUGH = 0.9

_PYTHON: Any = {
    **DEFAULT_KEYWORDS,
    "lazy_gettext": None,
    "_l": None,
    "lazy_ngettext": (1, 2),
    "say": None,
}
_JAVASCRIPT: Any = {"t": None, "n": (1, 2)}
#: Folder, method by pattern, keywords.
_SOURCES: tuple[tuple[str, list[tuple[str, str]], Any], ...] = (
    ("database", [("**.py", "python")], _PYTHON),
    ("webapp", [("**.py", "python")], _PYTHON),
    ("templates", [("**.html", "jinja2.ext:babel_extract")], _PYTHON),
    ("static", [("words/**", "ignore"), ("**.js", "javascript")], _JAVASCRIPT),
)
#: Neither is written; a catalogue wants them.
_NEVER = datetime(2000, 1, 1, tzinfo=UTC)
_LEFT_OUT = (
    *("POT-Creation-Date", "PO-Revision-Date", "Generated-By", "Last-Translator"),
    *("Project-Id-Version", "Report-Msgid-Bugs-To", "Language-Team"),
)

Text = str | tuple[str, ...]


def template() -> Catalog:
    """Return every text that people read, with the files that hold it."""
    catalogue = _empty()
    for text, file in sorted(_texts(), key=str):
        catalogue.add(text, locations=[(file, 1)])
    return catalogue


def made() -> Iterator[tuple[Path, bytes]]:
    """Yield each file that the sources and the translations make, and what it holds."""
    every = template()
    yield TRANSLATIONS / "messages.pot", _po(every)
    for path in sorted(TRANSLATIONS.glob("*/LC_MESSAGES/messages.po")):
        language = path.parent.parent.name
        catalogue = read(path)
        catalogue.update(every, no_fuzzy_matching=True)
        yield path, _po(catalogue)
        if share(catalogue) >= ENOUGH:
            yield path.with_suffix(".mo"), _mo(catalogue)
            yield SCRIPTS / f"{language}.js", _script(catalogue).encode("utf-8")


def write() -> None:
    """Write what has changed."""
    for path, data in made():
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_bytes() != data:
            path.write_bytes(data)


def read(path: Path) -> Catalog:
    """Return the catalogue in a .po file."""
    with path.open("rb") as file:
        catalogue = pofile.read_po(file, locale=path.parent.parent.name)
    catalogue.creation_date = catalogue.revision_date = _NEVER
    return catalogue


def share(catalogue: Catalog) -> float:
    """Return how much of a catalogue is translated, from 0 to 1."""
    texts = [message for message in catalogue if message.id]
    return sum(_is_translated(message) for message in texts) / max(1, len(texts))


def _is_translated(message: Any) -> bool:
    given = message.string
    return all(given) if isinstance(given, tuple | list) else bool(given)


def _texts() -> Iterator[tuple[Text, str]]:
    """Yield (text, file that holds it)."""
    for folder, methods, keywords in _SOURCES:
        found = extract_from_dir(
            ROOT / folder, method_map=methods, keywords=keywords, comment_tags=()
        )
        for file, _line, text, _comments, _context in found:
            yield text, f"{folder}/{Path(file).as_posix()}"
    for code, reason in REASONS.items():
        says = (reason.sentence, reason.summary, reason.next_step, *reason.fuller.values())
        yield from _given(says, f"reason {code}")
    for code, outcome in OUTCOMES.items():
        yield from _given(outcome, f"outcome {code}")


def _given(texts: Iterable[str], where: str) -> Iterator[tuple[Text, str]]:
    yield from ((text, where.replace(" ", ":")) for text in texts if text)


def _empty() -> Catalog:
    return Catalog(
        project="Hawser",
        charset="utf-8",
        header_comment="# Every text of Hawser that people read. Made by manage.py words.",
        creation_date=_NEVER,
        revision_date=_NEVER,
        fuzzy=False,
    )


def _po(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    pofile.write_po(
        file, catalogue, width=100, sort_output=True, ignore_obsolete=True, include_lineno=False
    )
    lines = file.getvalue().decode("utf-8").splitlines(keepends=True)
    kept = (line for line in lines if not line.startswith(tuple(f'"{name}' for name in _LEFT_OUT)))
    return "".join(kept).encode("utf-8")


def _mo(catalogue: Catalog) -> bytes:
    file = io.BytesIO()
    mofile.write_mo(file, catalogue)
    return file.getvalue()


def _script(catalogue: Catalog) -> str:
    """Return what teaches the scripts their texts."""
    folder, methods, keywords = _SOURCES[-1]
    found = extract_from_dir(ROOT / folder, method_map=methods, keywords=keywords)
    texts: dict[str, Any] = {}
    for _file, _line, text, _comments, _context in found:
        message = catalogue.get(text)
        if message is not None and _is_translated(message):
            texts[text if isinstance(text, str) else text[0]] = message.string
    given = json.dumps(texts, ensure_ascii=False, indent=1, sort_keys=True)
    note = "// Made by manage.py words: the texts of the scripts in another language."
    learn = f"window.hawserWords.learn({given}, (n) => Number{catalogue.plural_expr});"
    return f'"use strict";\n{note}\n{learn}\n'
