"""Requests of every shape, from a seed: what somebody sends who wants to see a page break."""

from __future__ import annotations

import io
import json
import random
import re
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from werkzeug.datastructures import MultiDict
from werkzeug.routing import Rule

from tests.security.site import Caller, Site
from tests.web import publications
from tests.web.forms import filters, form
from webapp.front import unused

#: Values that trip over types, sizes, encodings, patterns and databases.
VALUES = (
    *("", " ", "0", "1", "2", "-1", "+1", "01", "1.5", "1e9", "NaN", "inf", "0x10", "\u0663"),
    *("9" * 19, "9" * 400, "-" + "9" * 30, str(2**31), str(2**63), str(2**63 - 1), str(-(2**63))),
    *("\x00", "a\x00b", "\ud800", "a\udfffb", "\ufffe", "\U0010ffff", "\x7f", "\x1b[31m", "\u202e"),
    *("a\r\nSet-Cookie: x=1", "\r", "\n", "\t", "\x0b", "\x85", "\u2028"),
    *("'", '"', "' or 1=1 --", "%", "%%", "%s", "%(x)s", "_", "\\", "{", "}", "{site}", "{{7*7}}"),
    *("#", "+", "a/#", "a/+/b", "a/#/b", "/", "//", "$SYS/#", "a" * 70_000, "\u00e9" * 300),
    *("//evil.example/", "/\\evil.example", "https://evil.example/", "javascript:x", "/admin/"),
    *("null", "None", "true", "[]", "{}", '{"a":', "[[[[", "on", "y", "csv", "jsonl", "json"),
    *("2026-11-23T09:00", "2026-13-40T99:99", "0000-00-00", "9999-12-31T23:59:59", "1 h", "now"),
    *("127.0.0.1", "169.254.169.254", "[::1]", "0x7f.1", "-----BEGIN CERTIFICATE-----\nx", "=1+1"),
    *("enable", "disable", "delete", "reconnect", "clear_cooldown", "test", "publish", "duplicate"),
    *("connected", "unknown", "worst", "name", "admin", "viewer", "en", "it", "dark"),
    *("text", "hex", "base64", "zz", "00ff", "A" * 9, "..", "../..", "%00", "%ff", "\xff", "é"),
)
#: Fields that no form names.
MORE_FIELDS = (
    *("id", "rowid", "ids", "url", "next", "page", "page_size", "sort", "desc", "search", "q"),
    *("connection", "topic", "before", "after", "from", "until", "show", "state", "site", "kind"),
    *("reason", "payload", "again", "format", "strict", "kiosk", "flt0_0", "export", "action"),
    *("roles", "active", "revision", "password", "created_at", "role", "email", "code", "x" * 300),
)
HEADERS = {
    "Accept": ("application/json", "text/html;q=zz", "*/*", "application/health+json", "\xff"),
    "Accept-Language": ("it", "en;q=x", "*" * 999, "zz-ZZ", "de-DE-1996,it;q=0.5"),
    "If-None-Match": ('"x"', "*", "W/x", "," * 99),
    "If-Modified-Since": ("x", "Thu, 99 Foo 2026 99:99:99 GMT"),
    "Range": ("bytes=0-0", "bytes=9999999999-", "bytes=-1", "x=1", "bytes=1-0"),
    "Referer": ("https://evil.example/", "x", "\xff"),
    "User-Agent": ("", "<b>", "\xe9" * 2000),
    "X-Forwarded-For": ("127.0.0.1", "x, y", "::1"),
    "X-Requested-With": ("XMLHttpRequest",),
    "Cookie2": ("x",),
    "Content-Encoding": ("gzip",),
    "X-CSRFToken": ("x",),
}
CONTENT_TYPES = (
    "application/json",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded; charset=utf-16",
    "application/xml",
    "x",
)
JSON_VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 2**70, 1.5, float("nan"), "", "\x00", "\ud800", [], {}, [[[]]]),
    *([1, "a", None], {"name": {"a": 1}}, {"name": ["x"], "host": 1, "port": {}}, "x" * 5000),
)
_NAMES = re.compile(r'\bname="([^"]+)"')


@dataclass
class Request:
    """One request as it is sent; prints as what repeats it."""

    method: str
    path: str
    options: dict[str, Any] = field(default_factory=dict)

    def send(self, caller: Caller) -> Any:
        return caller.client.open(self.path, method=self.method, buffered=True, **self.options)


class Fuzzer:
    """Makes requests to the rules of a site; `names` are the fields of its forms."""

    def __init__(self, site: Site, seed: int, names: Set[str]) -> None:
        self._random = random.Random(seed)
        self._rules = [
            rule
            for rule in site.rules()
            if rule.endpoint not in {"static", "security.logout", *unused.CLOSED[2:]}
        ]
        self._fields = sorted({*MORE_FIELDS, *form(), *names})

    def request(self, token: str) -> Request:
        """Return the next request; `token` gets it past the door."""
        rule = self._random.choice(self._rules)
        method = self._random.choice(sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}))
        if self._random.random() < 0.03:
            method = self._random.choice(("HEAD", "OPTIONS", "PUT", "DELETE", "PROPFIND"))
        made = Request(method, self._path(rule))
        made.options["headers"] = self._headers()
        if method in ("POST", "PUT"):
            self._body(made, rule, token)
        return made

    def _path(self, rule: Rule) -> str:
        parts = {name: self._segment() for name in rule.arguments}
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: parts[found[1]], rule.rule)
        if self._random.random() < 0.8:
            path += f"?{self._query()}"
        return path

    def _segment(self) -> str:
        if self._random.random() < 0.6:
            return str(self._random.randint(1, 4))
        return quote(self._value()[:2000], safe="/%", errors="surrogatepass") or "x"

    def _query(self) -> str:
        if self._random.random() < 0.05:
            return "%ff%fe=%c3%28&a=%ed%a0%80&=&&&id=1;x&%&id[]=1&%00=%00"
        return urlencode(self._pairs(), errors="surrogatepass")

    def _pairs(self) -> list[tuple[str, str]]:
        found = []
        for _ in range(self._random.randint(0, 4)):
            name = self._random.choice(self._fields)
            times = 1 if self._random.random() < 0.9 else self._random.choice((2, 3, 40))
            found += [(name, self._value()[:5000]) for _ in range(times)]
        if self._random.random() < 0.5:
            found.append(("id", str(self._random.randint(0, 6))))
        return found

    def _value(self) -> str:
        value = self._random.choice(VALUES)
        if self._random.random() < 0.1:
            value += self._random.choice(VALUES)
        return value

    def _headers(self) -> list[tuple[str, str]]:
        if self._random.random() < 0.7:
            return []
        name = self._random.choice(sorted(HEADERS))
        return [(name, self._random.choice(HEADERS[name]))]

    def _body(self, made: Request, rule: Rule, token: str) -> None:
        draw = self._random.random()
        if draw < 0.1:
            self._json(made, token)
        elif draw < 0.15:
            made.options["data"] = self._random.choice((b"\xff\xfe%00", b"--x\r\n\r\n", b"{", b""))
            made.options["content_type"] = self._random.choice(CONTENT_TYPES)
            made.options["headers"] += [("X-CSRFToken", token)]
        else:
            self._form(made, rule, token)

    def _json(self, made: Request, token: str) -> None:
        names = self._random.sample(self._fields, 3)
        value: Any = {name: self._random.choice(JSON_VALUES) for name in names}
        if self._random.random() < 0.3:
            value = self._random.choice(JSON_VALUES)
        made.options["data"] = json.dumps(value)
        made.options["content_type"] = "application/json"
        made.options["headers"] += [("X-CSRFToken", token)]

    def _form(self, made: Request, rule: Rule, token: str) -> None:
        sent: MultiDict[str, Any] = MultiDict({"csrf_token": token})
        if self._random.random() < 0.7:
            sent.update(_good(rule, self._random.randint(1, 4)))
        for name, value in self._pairs():
            if self._random.random() < 0.7:
                sent.poplist(name)
            sent.add(name, self._value() if self._random.random() < 0.2 else value)
        if "import" in rule.rule or self._random.random() < 0.05:
            sent.update(self._files())
        made.options["data"] = _encodable(sent)

    def _files(self) -> dict[str, Any]:
        records = [
            {"name": self._value(), self._random.choice(self._fields): value}
            for value in self._random.sample(JSON_VALUES, 3)
        ]
        content: Any = self._random.choice((records, records, self._random.choice(JSON_VALUES)))
        text = json.dumps(content).encode()
        if self._random.random() < 0.2:
            text = self._random.choice((b"\xff\xfe", b"", b"[" * 3000, b"{" + text, b"\x00" * 99))
        name = self._random.choice(("a.json", "../../x", "\x00", "a" * 500, ""))
        return {key: (io.BytesIO(text), name) for key in ("file", "upload")}


def names_of_forms(site: Site) -> set[str]:
    """Return the names of all fields on all pages."""
    caller = site.client("admin")
    found: set[str] = set()
    for address in site.addresses("GET"):
        if "static" not in address.endpoint:
            answer = caller.get(f"{address.path}?id=1", buffered=True)
            found |= set(_NAMES.findall(answer.data.decode("utf-8", "replace")))
    return found - {"csrf_token"}


def _good(rule: Rule, number: int) -> dict[str, str]:
    """Return a form as a page would send it, so that one wrong field reaches the depths."""
    if rule.rule.startswith("/admin/publish"):
        return publications.form(number)
    if rule.rule.startswith("/admin/connections"):
        asked = {"id": str(number), "rowid": str(number), "action": "disable", "kind": "reconnect"}
        return {**form(), **filters("a/#", "b"), "revision": "1", **asked}
    return {"id": str(number), "role": "viewer", "email": f"a{number}@hawser.example"}


def _encodable(sent: MultiDict[str, Any]) -> MultiDict[str, Any]:
    """Return a form with what no browser can encode as the bytes that come instead."""
    return MultiDict(
        (name.encode("utf-8", "replace").decode(), _plain(value))
        for name, value in sent.items(multi=True)
    )


def _plain(value: Any) -> Any:
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value
