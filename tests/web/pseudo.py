"""A language in which every text of a catalogue stands in ⟦brackets⟧, and what stands outside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from babel.messages import Catalog, mofile
from flask import Flask

from webapp.wording import catalogues, language

#: Looks like English; the catalogues of the libraries that we use have nothing for it.
CODE = "en_GB"
OPEN, CLOSE = "⟦", "⟧"

#: Holds what people typed or machines said, not words of ours.
_DATA = {"script", "style", "code", "pre", "kbd"}
_SHOWN = {"title", "aria-label", "placeholder", "alt", "label", "data-label", "data-confirm"}
_SHOWN |= {"data-confirm-selected", "data-question", "data-text"}
#: The same in every language: units, the product, names of the specification and of formats.
_SAME = re.compile(
    r"""(?x)
    [\w.+-]+@[\w.-]+                                      # addresses
    | \d[\d,\ ]*\ (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\b
    | \d{4}-\d\d-\d\dT[\d:.]+Z
    | \d(?:[\d.,:\ /+-]|\d{4}-\d\d-\d\dT)*\ ?(?:UTC|[kMGT]?i?B|ms|min|s|h|d|%|/s|/min)?(?![A-Za-z])
    | me-probe-\w+ | _\w+_back | /backend/status | online\ /\ offline # what stands by itself
    | Password\ not\ provided                             # in the catalogue of its library
    | \{to\}\ s | sensors/[+\w/\#]+
    | \b(?:Payload\ Format\ Indicator|Message\ Expiry\ Interval(?:\ \(s\))?|Content\ Type)
    | \b(?:Response\ Topic|Correlation\ Data|User\ Property|User\ Properties)\b
    | \b(?:UTC|MQTT|TLS|DNS|TCP|QoS|DUP|CSV|JSON(?:\ Lines)?|SHA-256|PEM|SQLite|PostgreSQL)\b
    | \b(?:CONNACK|SUBACK|PUBLISH|PUBACK|Keep\ Alive|Base64|hex|UTF-8|ID|id|OK|IPv[46])\b
    | \b(?:Hawser|mosquitto|RabbitMQ|AWS\ IoT|English|Italiano|worker-1|boot-1|auto)\b
    """
)


def speak(app: Flask, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let an application know the language; whoever asks for English gets it."""
    catalogue = Catalog(locale=CODE, fuzzy=False)
    for message in catalogues.template():
        if isinstance(message.id, tuple):
            catalogue.add(message.id, tuple(f"{OPEN}{each}{CLOSE}" for each in message.id))
        elif message.id:
            catalogue.add(message.id, f"{OPEN}{message.id}{CLOSE}")
    path = folder / CODE / "LC_MESSAGES" / "messages.mo"
    path.parent.mkdir(parents=True)
    with path.open("wb") as file:
        mofile.write_mo(file, catalogue)
    app.extensions["babel"].translation_directories = [str(folder)]
    monkeypatch.setattr(language, "chosen", lambda: CODE)


def outside(page: str) -> list[str]:
    """Return the texts of a page that did not come from a catalogue."""
    reader = _Reader()
    reader.feed(page)
    reader.close()
    if reader.depth:
        reader.found.append(f"a text was cut: {reader.depth} brackets are open at the end")
    return reader.found


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.depth = 0
        self._data: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        shown = [value for name, value in attrs if name in _SHOWN and value]
        if tag == "input" and given.get("type") in ("submit", "button"):
            shown.append(given.get("value") or "")
        for value in shown:
            self._look(value, 0)
        if tag in _DATA or given.get("aria-hidden") == "true":
            self._data.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._data and self._data[-1] == tag:
            self._data.pop()

    def handle_data(self, data: str) -> None:
        if not self._data:
            self.depth = self._look(data, self.depth)

    def _look(self, text: str, depth: int) -> int:
        """Note letters at depth 0; return the depth at the end."""
        left = ""
        for each in text:
            depth += (each == OPEN) - (each == CLOSE)
            left += each if depth == 0 and each != CLOSE else " " if each == CLOSE else ""
        if re.search(r"[A-Za-z]", _SAME.sub("", left)):
            self.found.append(" ".join(text.split())[:200])
        return depth
