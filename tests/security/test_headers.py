"""What every answer carries, whatever it is an answer to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import abort
from werkzeug.test import TestResponse

from tests.security.conftest import MakeSite
from tests.security.site import Site
from tests.web import people

SELF, NOTHING = "'self'", "'none'"
POLICY = {
    "default-src": NOTHING,
    "script-src": SELF,
    "style-src": SELF,
    "img-src": f"{SELF} data:",
    "font-src": SELF,
    "connect-src": SELF,
    "manifest-src": SELF,
    "form-action": SELF,
    "object-src": NOTHING,
    "base-uri": NOTHING,
    "frame-ancestors": NOTHING,
}
ERRORS = (400, 401, 403, 404, 405, 409, 413, 414, 429, 431, 500, 503)
#: What an answer must not tell.
TELLTALE = re.compile(r"Traceback|sqlalchemy|werkzeug|flask|SELECT |/site-packages/|\.py\b", re.I)


@pytest.fixture(scope="module")
def site(make_site: MakeSite) -> Site:
    """A site with one more page, which fails as it is asked to."""
    site = make_site()

    def fail(code: int) -> Any:
        if code == 500:
            msg = "canary-of-an-exception"
            raise RuntimeError(msg)
        abort(code)

    site.app.add_url_rule("/admin/fail/<int:code>", "fail", fail)
    return site


def check(answer: TestResponse) -> None:
    """Assert that an answer carries every header."""
    told = answer.headers
    policy = dict(item.split(" ", 1) for item in told["Content-Security-Policy"].split("; "))
    assert policy == POLICY
    assert told["X-Content-Type-Options"] == "nosniff"
    assert told["X-Frame-Options"] == "DENY"
    assert told["Referrer-Policy"] == "same-origin"
    assert told["Cross-Origin-Opener-Policy"] == "same-origin"
    assert told["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "camera=()" in told["Permissions-Policy"]
    assert "X-Powered-By" not in told
    assert "Access-Control-Allow-Origin" not in told
    if answer.data and answer.status_code < 300:
        assert "charset=utf-8" in told["Content-Type"] or not told["Content-Type"].startswith(
            "text/"
        )


@pytest.mark.parametrize("role", [None, "admin"])
def test_every_answer_of_every_address_carries_the_headers(site: Site, role: str | None) -> None:
    caller = site.client(role)
    walked = 0
    for method in ("GET", "HEAD", "POST", "OPTIONS", "TRACE"):
        for address in site.addresses("POST" if method == "TRACE" else method):
            answer = caller.client.open(address.path, method=method, buffered=True)
            check(answer)
            if not address.endpoint.endswith("static"):
                assert answer.headers["Cache-Control"] == "no-store", address
            assert "Strict-Transport-Security" not in answer.headers
            walked += 1
    assert walked > 100


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("wanted", ["text/html", "application/json"])
def test_every_error_is_one_sentence_with_the_headers(site: Site, code: int, wanted: str) -> None:
    answer = site.client("admin").get(f"/admin/fail/{code}", headers={"Accept": wanted})
    assert answer.status_code == code
    check(answer)
    assert answer.content_type.partition(";")[0] == wanted
    assert "canary" not in answer.text
    assert not TELLTALE.search(answer.text)
    if wanted == "application/json":
        told = answer.get_json()
        assert told["status"] == code
        assert len(told["sentence"]) > 10


def test_over_https_browsers_are_told_to_stay_there(site: Site) -> None:
    for path in ("/login", "/static/app.css", "/nowhere", "/api/v1/mqtt/health/", "/admin/"):
        answer = site.client().get(path, base_url="https://hawser.example", buffered=True)
        found = answer.headers["Strict-Transport-Security"]
        assert found == "max-age=31536000; includeSubDomains"


def test_debugging_is_off(site: Site) -> None:
    assert not site.app.debug
    assert not site.app.testing
    assert site.client("admin").get("/console").status_code == 404


# --- files that nobody may fetch


def hidden_paths() -> Iterator[str]:
    for root in ("/", "/static/", "/admin/static/", "/fs-static/"):
        for name in (".git/config", ".env", "wsgi.py", "var/hawser.db", "../wsgi.py"):
            yield root + name
            yield root + name.replace("../", "..%2f")
            yield root + name.replace("../", "%2e%2e/")
            yield root + name.replace("../", "..%5c")
            yield root + name.replace("../", "....//")
            yield root + "%2fetc%2fpasswd"
            yield root + "..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd"
            yield root + name + "%00.css"
    yield from ("/server-status", "/phpinfo.php", "/actuator/env", "/debug", "/metrics/../.env")


def test_no_file_but_those_of_the_pages_is_handed_out(site: Site) -> None:
    caller = site.client("admin")
    for path in {*hidden_paths()}:
        answer = caller.get(path, buffered=True)
        assert answer.status_code in (302, 308, 404), path
        assert b"root:" not in answer.data
        assert b"create_app" not in answer.data
        assert b"SQLite format" not in answer.data


# --- hosts and proxies


def test_no_redirect_and_no_page_repeats_the_host_of_the_request(site: Site) -> None:
    caller = site.client("admin")
    host = "evil-host.example"
    told = {"X-Forwarded-Host": "evil-proxy.example", "X-Forwarded-Proto": "https"}
    told |= {"Forwarded": "host=evil-proxy.example", "X-Original-Url": "/evil-url"}
    paths = [address.path for address in site.addresses("GET")]
    paths += [path.rstrip("/") for path in paths if len(path) > 1] + ["//evil-path.example/admin"]
    led = 0
    for path in paths:
        answer = caller.get(path, base_url=f"http://{host}", headers=told, buffered=True)
        assert "evil-" not in answer.get_data(as_text=True), path
        assert "Strict-Transport-Security" not in answer.headers
        if answer.location:
            led += 1
            assert answer.location.startswith("/"), path
            assert not answer.location.startswith("//"), path
            assert "evil-" not in answer.location, path
    assert led > 10


@pytest.mark.parametrize(
    "host", ["EVIL-host.example", "evil-host.example:80", "evil-host.example."]
)
def test_no_redirect_repeats_the_host_however_it_is_written(site: Site, host: str) -> None:
    caller = site.client("admin")
    for path in ("/admin", "/admin/events", "//evil-path.example/admin"):
        answer = caller.get(path, headers={"Host": host})
        assert answer.status_code == 308
        assert answer.location.startswith("/admin")


def test_a_proxy_is_believed_only_where_the_settings_say_so(make_site: MakeSite) -> None:
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.9"}
    believing = make_site(None, trusted_proxies=1)
    assert "Strict-Transport-Security" in believing.client().get("/login", headers=told).headers
    doubting = make_site(None)
    assert "Strict-Transport-Security" not in doubting.client().get("/login", headers=told).headers


# --- cookies


@pytest.mark.parametrize("env", ["demo", "production"])
def test_every_cookie_has_its_flags_and_over_https_a_name_of_its_host(
    make_site: MakeSite, env: str
) -> None:
    site = make_site(None, env=env)
    people.make(site.app)
    caller = site.client()
    https = {"wsgi.url_scheme": "https", "HTTP_REFERER": "https://localhost/"}
    caller.client.environ_base.update(https)
    asked = [
        ("/login", {"email": people.ANN, "password": people.PASSWORD}),
        ("/admin/language", {"language": "en"}),
        ("/admin/language", {"language": ""}),
        ("/admin/help/look", {"theme": "dark"}),
    ]
    names = set()
    for path, sent in asked:
        answer = caller.post(path, sent)
        caller.forget_token()
        assert answer.status_code == 302, (path, answer.text)
        for cookie in answer.headers.getlist("Set-Cookie"):
            head, *attributes = cookie.split("; ")
            names.add(head.partition("=")[0])
            assert {"HttpOnly", "Path=/", "SameSite=Lax"} <= set(attributes), cookie
            assert ("Secure" in attributes) is (env == "production"), cookie
            assert not [item for item in attributes if item.startswith("Domain")]
    prefix = "__Host-" if env == "production" else ""
    plain = ("hawser-session", "hawser-device", "hawser-language", "hawser-theme")
    assert names == {prefix + name for name in plain}
