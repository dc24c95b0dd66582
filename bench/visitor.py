"""Somebody at a browser: signs in, reads a form, changes fields of it, and saves."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from html.parser import HTMLParser
from http.cookiejar import CookieJar

from bench.ports import HOST

TIMEOUT = 30.0  # seconds
#: What a page tells about itself, and at its fields.
_TOLD = re.compile(r'class="(?:alert|error)[^>]*>([^<]+)')


class Form(HTMLParser):
    """The fields of the first form in a page's `<main>` that a browser would send."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._is_wanted = False
        #: The field whose content comes as text, and the select whose options follow.
        self._open: str | None = None
        self._select: str | None = None
        self._is_template = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take the field that begins."""
        given = dict(attributes)
        name = given.get("name")
        if tag == "main":
            self._is_wanted = True
        elif tag == "template":
            self._is_template = True
        elif self._is_template or not self._is_wanted:
            return
        elif tag == "input" and name:
            self._take_input(name, given)
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            if "selected" in given or self._select not in self.fields:
                self.fields[self._select] = given.get("value") or ""
        elif tag == "textarea" and name:
            self._open = name
            self.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        """Close what has ended."""
        if tag == "form":
            self._is_wanted = False
        elif tag == "template":
            self._is_template = False
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._open = None

    def handle_data(self, data: str) -> None:
        """Take the text of a text area; its first line break belongs to the markup."""
        if self._open:
            self.fields[self._open] += data if self.fields[self._open] else data.lstrip("\n")

    def _take_input(self, name: str, given: Mapping[str, str | None]) -> None:
        kind = given.get("type", "text")
        if kind in ("submit", "button") or (
            kind in ("checkbox", "radio") and "checked" not in given
        ):
            return
        self.fields[name] = given.get("value") or ""


class RejectedError(Exception):
    """The web did not take what was sent."""


class Visitor:
    """One session with the web at 127.0.0.1:`port`, which is process `pid`."""

    def __init__(self, port: int, pid: int = 0) -> None:
        self.port, self.pid = port, pid
        self._base = f"http://{HOST}:{port}"
        self._cookies = CookieJar()
        cookies = urllib.request.HTTPCookieProcessor(self._cookies)
        self._opener = urllib.request.build_opener(cookies)

    @property
    def cookie(self) -> str:
        """What a browser would send as `Cookie`."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._cookies)

    def get(self, path: str) -> str:
        """Return a page."""
        with self._opener.open(self._base + path, timeout=TIMEOUT) as answer:
            page: str = answer.read().decode()
            return page

    def form(self, path: str) -> dict[str, str]:
        """Return the fields of the form on a page, with what they hold."""
        return Form(self.get(path)).fields

    def post(self, path: str, fields: Mapping[str, str]) -> str:
        """Send a form; return the path that the answer leads to. Raises RejectedError."""
        data = urllib.parse.urlencode(fields).encode()
        try:
            with self._opener.open(self._base + path, data, timeout=TIMEOUT) as answer:
                arrived: str = answer.url.removeprefix(self._base)
                page = answer.read().decode()
        except urllib.error.HTTPError as error:
            msg = f"{path}: status {error.code}"
            raise RejectedError(msg) from error
        if arrived.partition("?")[0] == path.partition("?")[0]:
            msg = f"{path}: the form came back: {' '.join(_TOLD.findall(page))}"
            raise RejectedError(msg)
        return arrived

    def sign_in(self, email: str, password: str) -> None:
        """Begin a session with an account."""
        self.post("/login", {**self.form("/login"), "email": email, "password": password})
