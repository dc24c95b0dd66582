"""Hawser below a path of its proxy: every link and cookie begins with it, no link leads astray."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.web import people
from tests.web.conftest import Visitor, signed_in
from webapp.front.path_prefix import OWN_SEGMENTS

MakeApp = Callable[..., Flask]
BELOW = "/plant/hawser"
TOLD = {"X-Forwarded-Prefix": BELOW}
#: What a browser follows, shows or sends.
LINK = re.compile(r'\b(?:href|src|action|formaction|data-[a-z-]+)="(/[^"]*)"')
HOSTILE = (
    *("//evil.example", "///evil.example", "/\\evil.example", "https://evil.example", "evil"),
    *("/../evil", "/a/../evil", "/./evil", "/evil//x", "/evil?x=", "/evil#", "/evil x", "/evil%2f"),
    *("/e\tvil", "/\u00e9vil", "/evil;x", "javascript:evil", '/"evil', "/<evil>", "/evil/" * 60),
    *("/admin", "/static/evil", "/api"),
)
PAGES = ("", "connections/", "connections/new/", "events/", "messages/", "publish/", "help/")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


class Browser(FlaskClient):
    """Asks below the path, as a browser does: cookies of the path come along."""

    def open(self, path: str, **options: Any) -> TestResponse:  # type: ignore[override]
        return super().open(f"{BELOW}{path}", **options)


def at_browser(app: Flask) -> Visitor:
    """Return a visitor below the path."""
    app.test_client_class = Browser
    return Visitor(app.test_client())


def links(html: str) -> set[str]:
    """Return every address in a page that begins with a slash."""
    return set(LINK.findall(html))


@pytest.fixture(params=["header", "header, path passed on", "SCRIPT_NAME", "taken away"])
def below(request: pytest.FixtureRequest, make_app: MakeApp) -> tuple[Visitor, str]:
    """An administrator below a path, told in each way; and what the requests begin with."""
    if "header" in request.param:
        visitor = signed_in(make_app(trusted_proxies=1), "admin")
        visitor.client.environ_base["HTTP_X_FORWARDED_PREFIX"] = BELOW
    else:
        visitor = signed_in(make_app(script_name=f"{BELOW}/"), "admin")
    return visitor, BELOW if request.param in ("header, path passed on", "SCRIPT_NAME") else ""


def test_every_link_of_every_page_begins_with_the_path(below: tuple[Visitor, str]) -> None:
    visitor, start = below
    # The cookie of the fixture belongs to the root; the browser's would be below the path.
    found: set[str] = set()
    for page in PAGES:
        answer = visitor.get(f"{start}/admin/{page}")
        assert answer.status_code == 200, answer.location
        found |= links(answer.text)
    assert len(found) > 30
    assert [link for link in found if not link.startswith(f"{BELOW}/")] == []


def test_signing_in_leads_back_below_the_path(make_app: MakeApp) -> None:
    app = make_app(trusted_proxies=1)
    people.make(app)
    visitor = at_browser(app)
    visitor.client.environ_base["HTTP_X_FORWARDED_PREFIX"] = BELOW
    assert visitor.get("/").location == f"{BELOW}/login?next={BELOW}/"
    asked = visitor.get("/admin/events/?state=connected")
    assert asked.location == f"{BELOW}/login?next={BELOW}/admin/events/?state%3Dconnected"
    for next_page, leads_to in (("", "/admin/"), (f"{BELOW}/admin/events/", "/admin/events/")):
        answer = visitor.sign_in(people.ANN, people.PASSWORD, next=next_page)
        assert answer.location == f"{BELOW}{leads_to}"
        for cookie in answer.headers.getlist("Set-Cookie"):
            assert f"; Path={BELOW}" in cookie
        assert visitor.get("/").location == f"{BELOW}/admin/"
        assert visitor.post("/logout").location == f"{BELOW}/login"


def test_small_forms_lead_back_below_the_path_and_nowhere_else(make_app: MakeApp) -> None:
    app = make_app(script_name=BELOW)
    people.make(app)
    visitor = at_browser(app)
    visitor.sign_in(people.ANN, people.PASSWORD)
    for asked, leads_to in (
        (f"{BELOW}/admin/events/?x=1", f"{BELOW}/admin/events/?x=1"),
        ("/admin/events/", f"{BELOW}/"),
        (f"{BELOW}//evil.example", f"{BELOW}/"),
        ("//evil.example/admin/", f"{BELOW}/"),
    ):
        answer = visitor.post("/admin/language", {"language": "it", "here": asked})
        assert answer.location == leads_to
        assert f"; Path={BELOW}" in answer.headers["Set-Cookie"]


def test_over_https_cookies_say_below_which_path_they_belong(make_app: MakeApp) -> None:
    app = make_app(trusted_proxies=1, cookie_secure="yes")
    names = set()
    for below in ("", "/a", "/b"):
        client = app.test_client()
        answer = client.get(
            "/login", headers={"X-Forwarded-Prefix": below}, base_url="https://hawser.example"
        )
        cookie = answer.headers["Set-Cookie"]
        assert "; Secure" in cookie
        assert "; Path=/;" in f"{cookie};"
        assert cookie.startswith("__Host-hawser-session")
        names.add(cookie.partition("=")[0])
    assert len(names) == 3
    assert "__Host-hawser-session" in names


def test_a_prefix_that_is_no_plain_path_does_not_count(make_app: MakeApp) -> None:
    visitor = signed_in(make_app(trusted_proxies=1), "admin")
    pages = ("/", "/admin", "/admin/help/", "/static/app.css")
    for prefix, path in itertools.product(HOSTILE, pages):
        told = {"HTTP_X_FORWARDED_PREFIX": prefix.encode().decode("latin-1")}
        answer = visitor.get(path, environ_overrides=told, buffered=True)
        assert answer.status_code < 400
        assert "evil" not in answer.text
        assert "evil" not in (answer.location or "/")
        assert (answer.location or "/").startswith("/")


def test_an_untrusted_proxy_names_no_path(make_app: MakeApp) -> None:
    visitor = signed_in(make_app(), "admin")
    assert visitor.get("/", headers=TOLD).location == "/admin/"
    assert BELOW not in visitor.get("/admin/", headers=TOLD).text
    assert visitor.get(f"{BELOW}/admin/", headers=TOLD).status_code in (302, 404)


def test_only_the_last_proxies_are_believed(make_app: MakeApp) -> None:
    visitor = signed_in(make_app(trusted_proxies=1), "admin")
    told = {"X-Forwarded-Prefix": f"/evil, {BELOW}"}
    assert visitor.get("/", headers=told).location == f"{BELOW}/admin/"


def test_what_one_proxy_is_shown_is_not_kept_for_another(make_app: MakeApp) -> None:
    visitor = signed_in(make_app(trusted_proxies=1), "admin")
    visitor.post("/admin/connections/new/", {"name": "p", "site": "s", "host": "h.example"})
    for prefix in ("/evil", "", "/other"):
        page = visitor.get("/admin/connections/", headers={"X-Forwarded-Prefix": prefix})
        assert page.text.count("/admin/connections/details/") > 0
        assert {link for link in links(page.text) if not link.startswith(f"{prefix}/")} == set()
        assert prefix == "/evil" or "/evil" not in page.text


def test_no_path_of_a_proxy_can_be_taken_for_one_of_ours(app: Flask) -> None:
    own = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()} - {""}
    assert own <= OWN_SEGMENTS


def test_health_answers_with_and_without_the_path(make_app: MakeApp) -> None:
    client = make_app(script_name=BELOW).test_client()
    for path in ("/livez", f"{BELOW}/livez", f"{BELOW}/api/v1/mqtt/health/"):
        assert client.get(path).status_code in (200, 503)
        assert client.get(path).is_json
