"""Texts from brokers, forms, files and plain SQL are shown as texts, whatever they say."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Iterator

import pytest

from tests.security.conftest import MakeSite
from tests.security.filling import fill_events
from tests.security.markup import Page, pages_in
from tests.security.site import Caller, Site
from tests.web.forms import filters, form

#: What breaks out of a text, an attribute, a script, a template or a format string.
MARKUP = (
    "\"><hostile-tag hostile='1'>x</hostile-tag><script>hostile()</script>"
    "<img src=x onerror=hostile()>' onmouseover='hostile()\" autofocus onfocus=hostile() x=\""
    "--></title></textarea></select><svg onload=hostile()>{{7411*7919}}{%print(7411*7919)%}"
    "{config}{0.__class__}{site.__class__}%(name)s%s%n${7411*7919}\u202e\u2066\u2028\x1b[31m"
)
LINK = "javascript:hostile()"
ELSEWHERE = "//hostile.example/x"
#: 7411 * 7919: nobody calculates what a text asks for.
PRODUCT = "58687709"
#: What a page says that took a text for a format string.
FORMATTED = ("<class '", "&lt;class &#39;", "<Config ", "&lt;Config ")
#: Pages that show texts of the rows; each must hold them, or this test looks at nothing.
SHOWING = {
    "admin.index",
    "audit.index_view",
    "commands.page_view",
    "connections.details_view",
    "connections.edit_view",
    "connections.index_view",
    "events.index_view",
    "messages.details_view",
    "messages.index_view",
    "messages.set_aside_view",
    "publish.index_view",
    "publish.sent_view",
    "workers.index_view",
}
#: Names of fields that pages take; more are read from the pages themselves.
FIELDS = (
    *("url", "search", "q", "connection", "topic", "show", "sort", "page", "before", "after"),
    *("from", "until", "payload", "state", "reason", "kind", "site", "who", "actor", "action"),
    *("next", "name", "text", "subject", "ids", "kiosk", "code", "email", "password"),
)


def looks(site: Site) -> Iterator[tuple[str, str]]:
    """Yield (endpoint, path) of every page about a row."""
    for address in site.addresses("GET"):
        yield address.endpoint, address.path
        yield address.endpoint, f"{address.path}?id=1"
        if "/1" in address.path:
            for number in range(2, 5):
                yield address.endpoint, address.path.replace("/1", f"/{number}")


def check(caller: Caller, path: str, **options: object) -> list[Page]:
    """Fetch a page and assert that no markup came from data; return what was read."""
    answer = caller.get(path, buffered=True, **options)
    assert answer.status_code < 500 or "/health/" in path, path
    text = answer.data.decode("utf-8", "replace")
    for bad in (PRODUCT, *FORMATTED):
        assert bad not in text, (path, bad)
    found = list(pages_in(answer.content_type, text))
    assert [problem for page in found for problem in page.problems] == [], path
    return found


@pytest.mark.parametrize("text", [MARKUP, LINK, ELSEWHERE], ids=["markup", "link", "elsewhere"])
def test_no_stored_text_becomes_markup(make_site: MakeSite, text: str) -> None:
    site = make_site(text)
    fill_events(site.engine, text)
    caller = site.client("admin")
    showing = set()
    for endpoint, path in looks(site):
        found = check(caller, path)
        if any("hostile" in piece for page in found for piece in page.text):
            showing.add(endpoint)
    assert SHOWING - showing == set()


def test_a_stranger_is_told_no_stored_text(make_site: MakeSite) -> None:
    site = make_site(MARKUP.replace("hostile", "canary"))
    for address in site.addresses("GET"):
        answer = site.client().get(address.path, buffered=True)
        told = answer.get_data(as_text=True)
        # Names of connections and sites are public by contract (docs/operations.md).
        told = told.replace(json.dumps(MARKUP.replace("hostile", "canary"))[1:-1], "")
        assert "canary()" not in told or address.endpoint == "health.health", address


@pytest.mark.parametrize("text", [MARKUP, LINK, ELSEWHERE], ids=["markup", "link", "elsewhere"])
def test_no_text_of_a_request_becomes_markup(site: Site, text: str) -> None:
    caller = site.client("admin")
    query = dict.fromkeys(FIELDS, text)
    for address in site.addresses("GET"):
        if address.method == "GET" and "static" not in address.endpoint:
            check(caller, address.path, query_string={**query, "id": "1"})
    for headers in ({"Referer": text}, {"User-Agent": text}, {"Accept-Language": text}):
        plain = {name: value.encode("ascii", "replace").decode() for name, value in headers.items()}
        plain = {name: value.replace("\x1b", "") for name, value in plain.items()}
        check(caller, "/admin/", headers=plain)
        check(caller, "/nowhere", headers=plain)
    check(site.client(), "/login", query_string=query)
    check(caller, f"/admin/{'x' if text == LINK else ''}<hostile-tag>{{{{7411*7919}}}}")


def test_a_refused_form_comes_back_without_markup(site: Site) -> None:
    caller = site.client("admin")
    names = sorted(form())
    for path in ("/admin/connections/new/", "/admin/connections/edit/?id=1"):
        sent = {**dict.fromkeys(names, MARKUP), **filters(MARKUP, MARKUP), "revision": MARKUP}
        answer = caller.post(path, sent)
        assert answer.status_code == 200
        page = Page(answer.text)
        assert page.problems == []
        assert PRODUCT not in answer.text
        assert "hostile-tag" in html.unescape(answer.text)


def test_a_saved_form_is_shown_without_markup(make_site: MakeSite) -> None:
    site = make_site(None)
    caller = site.client("admin")
    text = MARKUP.translate(dict.fromkeys([0x202E, 0x2066, 0x2028, 0x1B]))[:190]
    free = dict.fromkeys(("name", "notes", "username", "online_payload"), text)
    answer = caller.post("/admin/connections/new/", {**form(**free), **filters("a/<hostile-tag>")})
    assert answer.status_code == 302, answer.text
    # The sentence that says what was done is on the page after it.
    shown = check(caller, answer.location)
    assert any("hostile-tag" in piece for page in shown for piece in page.text)
    for _, path in looks(site):
        check(caller, path)


def test_an_upload_is_answered_without_markup(site: Site) -> None:
    caller = site.client("admin")
    content = json.dumps([{"name": MARKUP, "host": MARKUP, MARKUP: MARKUP}, MARKUP]).encode()
    sent = 0
    for address in site.addresses("POST"):
        if "import" not in address.path:
            continue
        for field in ("file", "upload", "records"):
            named = (io.BytesIO(content), "<hostile-tag>.json")
            answer = caller.post(address.path, {field: named}, content_type="multipart/form-data")
            assert answer.status_code < 500
            for page in pages_in(answer.content_type, answer.text):
                assert page.problems == [], address
            sent += 1
    assert sent
