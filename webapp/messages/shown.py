"""Payloads and topics for people: text, JSON, hex; harmless, whatever they hold.

What no eye can see, such as control characters and those that turn the direction of text,
is shown by its escape, as in Python.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from markupsafe import Markup, escape

from webapp.wording import texts

#: What a list shows of a payload: characters of text, or bytes of anything else.
PREVIEW_CHARACTERS, PREVIEW_BYTES = 160, 20
#: What the page of a message shows at most: characters of text, bytes of hex, levels of JSON.
TEXT_CHARACTERS, HEX_BYTES, JSON_LEVELS = 64 * 1024, 4_096, 100
#: Bytes of JSON that are indented, and characters of the result.
JSON_BYTES, JSON_CHARACTERS = 256 * 1024, 256 * 1024
#: Values of MQTT 5 properties that are shown, and characters of each.
PROPERTIES, PROPERTY_CHARACTERS = 100, 2_000

_LAYOUT = "\t\n"
#: Share of characters without a shape from which on a payload is taken for no text.
_BINARY = 0.3
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)


def visible(text: object, keep: str = "") -> Markup:
    """Return text as HTML in which nothing is hidden; the characters in `keep` stay."""
    shown = str(text)
    if shown.isprintable():
        return escape(shown)
    pieces = (
        escape("".join(run)) if plain else _escaped(run)
        for plain, run in groupby(shown, lambda each: each.isprintable() or each in keep)
    )
    return Markup("").join(pieces)


def preview(head: object, size: object) -> Markup:
    """Return the start of a payload on one line: text, or hex where it is none."""
    data = _bytes(head)
    is_whole = isinstance(size, int) and size <= len(data)
    text = as_text(data, is_whole=is_whole)
    if text is None:
        more = "" if is_whole and len(data) <= PREVIEW_BYTES else "…"
        hexed = f"{data[:PREVIEW_BYTES].hex(' ')}{more}"
        return Markup('<span class="quiet">hex</span> {}').format(hexed)
    cut = len(text) > PREVIEW_CHARACTERS or not is_whole
    return visible(text[:PREVIEW_CHARACTERS]) + (Markup("…") if cut else "")


def size_words(size: object) -> str:
    """Return a size in words; plain SQL may have written anything."""
    return texts.size(size) if isinstance(size, int) else "?"


def dead_topic(topic: object) -> Markup:
    """Return a topic that may be no text."""
    return visible(_bytes(topic)[:PREVIEW_CHARACTERS].decode("utf-8", "backslashreplace"))


def as_text(data: bytes, *, is_whole: bool = True) -> str | None:
    """Return bytes as text, None if they are none; a start may end within a character."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(data, is_whole)
    except UnicodeDecodeError:
        return None
    unseen = sum(not (each.isprintable() or each in "\t\r\n") for each in text[:4_096])
    return None if unseen > _BINARY * min(len(text), 4_096) else text


def long_text(data: bytes, *, is_whole: bool) -> Markup | None:
    """Return a payload as text for a page of its own, None if it is none."""
    text = as_text(data, is_whole=is_whole)
    return None if text is None else visible(text[:TEXT_CHARACTERS], _LAYOUT)


def pretty_json(data: bytes) -> Markup | None:
    """Return an object or array of JSON with one value a line, None if it is none.

    Numbers, escapes and repeated names stay as they came. What is nested deeper than
    `JSON_LEVELS` or larger than `JSON_BYTES` is not looked at.
    """
    if len(data) > JSON_BYTES or data.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        text = data.decode("utf-8")
        if _levels(text) > JSON_LEVELS:
            return None
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse)
    except ValueError:
        return None
    shown, length = [], 0
    for piece in _indented(text):
        length += len(piece)
        if length > JSON_CHARACTERS:
            shown.append("\n…")
            break
        shown.append(piece)
    return visible("".join(shown), _LAYOUT)


def hex_dump(data: bytes) -> str:
    """Return the start of a payload as offsets, hex and ASCII."""
    lines = []
    for start in range(0, min(len(data), HEX_BYTES), 16):
        line = data[start : start + 16]
        plain = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        lines.append(f"{start:08x}  {line.hex(' '):<47}  {plain}")
    return "\n".join(lines)


def properties(found: Mapping[str, Any] | None) -> list[tuple[str, Markup]]:
    """Return MQTT 5 properties as (name in the specification, value)."""
    pairs = [
        _hexed(value)
        if name == "correlation_data"
        else (_property_name(name), visible(_property(value)[:PROPERTY_CHARACTERS]))
        for name, values in (found or {}).items()
        for value in (values if isinstance(values, list) else [values])
    ]
    return pairs[:PROPERTIES]


def _hexed(value: Any) -> tuple[str, Markup]:
    """Return Correlation Data, which is stored as base64, as hex."""
    try:
        data = base64.b64decode(str(value), validate=True)
    except ValueError:
        return "Correlation Data", visible(_property(value)[:PROPERTY_CHARACTERS])
    return "Correlation Data (hex)", Markup(data[: PROPERTY_CHARACTERS // 3].hex(" "))  # noqa: S704 - digits only


def _property_name(name: str) -> str:
    return str(visible(name.replace("_", " ").title()))[:PREVIEW_CHARACTERS]


def _property(value: Any) -> str:
    if isinstance(value, list | tuple) and len(value) == 2:
        return f"{value[0]} = {value[1]}"
    return value if isinstance(value, str) else json.dumps(value)


def _escaped(run: Iterator[str]) -> Markup:
    text = "".join(run).encode("unicode_escape", "backslashreplace").decode("ascii")
    return Markup('<span class="unseen">{}</span>').format(text)


def _bytes(value: object) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value or "").encode()


def _levels(text: str) -> int:
    """Return how deep JSON is nested."""
    depth = deepest = 0
    for token in _TOKEN.finditer(text):
        first = token[0][0]
        depth += (first in "[{") - (first in "]}")
        deepest = max(deepest, depth)
        if deepest > JSON_LEVELS:
            break
    return deepest


def _indented(text: str) -> Iterator[str]:
    """Yield the tokens of valid JSON with line breaks and blanks between them."""
    depth, previous = 0, ""
    for found in _TOKEN.finditer(text):
        piece = found[0]
        if piece in ("]", "}"):
            depth -= 1
            yield piece if previous in ("[", "{") else f"\n{'  ' * depth}{piece}"
        else:
            if previous in ("[", "{", ","):
                yield f"\n{'  ' * depth}"
            depth += piece in ("[", "{")
            yield ": " if piece == ":" else piece
        previous = piece


def _refuse(constant: str) -> None:
    raise ValueError(constant)
