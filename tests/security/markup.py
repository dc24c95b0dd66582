"""Whether a page's elements and attributes are the templates' own, whatever its texts say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

#: The word in every hostile text: in a tag, an attribute's name or a script it means trouble.
WORD = "hostile"
#: Attributes whose value is an address.
ADDRESSES = frozenset({"href", "src", "action", "formaction", "data", "poster", "cite", "srcset"})
#: Elements that run, load or reach out.
FORBIDDEN = frozenset(
    {"iframe", "object", "embed", "base", "frame", "applet", "style", "marquee", "foreignobject"}
)
#: Attributes whose value a script of ours looks up or asks for.
ASKED = frozenset({"data-live", "data-url", "data-href"})


class Page(HTMLParser):
    """Reads a page or a part of one; `problems` tells what is wrong with it."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.problems: list[str] = []
        self.text: list[str] = []
        self._script = False
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._script = tag == "script"
        if WORD in tag or tag in FORBIDDEN:
            self.problems.append(f"<{tag}>")
        if tag == "script" and not dict(attrs).get("src"):
            self.problems.append("a script without src")
        for name, value in attrs:
            self._attribute(tag, name, value or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        self._script = False

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self._script and data.strip():
            self.problems.append("an inline script")

    def handle_comment(self, data: str) -> None:
        if WORD in data:
            self.problems.append("a comment from data")

    def handle_decl(self, decl: str) -> None:
        if decl.lower() != "doctype html":
            self.problems.append(f"<!{decl}>")

    def handle_pi(self, data: str) -> None:
        self.problems.append(f"<?{data}>")

    def _attribute(self, tag: str, name: str, value: str) -> None:
        self.text.append(value)
        if WORD in name or name.startswith("on") or name in ("style", "srcdoc"):
            self.problems.append(f"<{tag} {name}>")
        if name in ADDRESSES | ASKED and not _is_ours(value):
            self.problems.append(f"<{tag} {name}={value!r}>")
        if name == "http-equiv" and value.lower() == "refresh":
            self.problems.append("a page that leads away")


def _is_ours(address: str) -> bool:
    """Whether an address stays on this site."""
    cleaned = "".join(c for c in address if c > " ")
    if cleaned.startswith("data:image/"):
        return True
    parts = urlsplit(cleaned.replace("\\", "/"))
    return not parts.scheme and not parts.netloc


def pages_in(content_type: str, body: str) -> Iterator[Page]:
    """Yield each piece of markup of an answer: a page, or the strings of a JSON object."""
    if content_type.startswith("text/html"):
        yield Page(body)
    elif content_type.startswith("application/json"):
        for text in _html_strings(json.loads(body)):
            yield Page(text)


def _html_strings(value: Any, key: str = "") -> Iterator[str]:
    """Yield the strings that a script puts into the page as markup."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _html_strings(item, "html" if key == "html" else HTML_KEYS.get(name, ""))
    elif isinstance(value, list):
        for item in value:
            yield from _html_strings(item, key)
    elif isinstance(value, str) and key == "html":
        yield value


#: Where JSON answers hold markup.
HTML_KEYS = dict.fromkeys(("parts", "html", "rows", "told"), "html")
