"""A form that is refused says why: an old page, or a proxy that loses the host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.web.conftest import Visitor
from webapp.front import form_refusals

MakeApp = Callable[..., Flask]
LOGGED = "the browser and the proxy name different hosts"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough here."""
    return sqlite_url


@pytest.fixture
def behind(make_app: MakeApp) -> Visitor:
    """A visitor of an application that believes one proxy."""
    return Visitor(make_app(trusted_proxies=1, cookie_secure="no").test_client())


def refused(visitor: Visitor, **headers: str) -> str:
    """Send a form with a good token over HTTPS and these headers; return the answer."""
    token = visitor.token()
    answer = visitor.client.post(
        "/login",
        data={"csrf_token": token, "email": "a@b.example", "password": "x"},
        base_url="http://127.0.0.1:8000",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    assert answer.status_code == 400, answer.text
    return answer.text.replace("&#34;", '"').replace("&#39;", "'")


PROXIED = {"X_Forwarded_Proto": "https"}


@pytest.mark.parametrize("header", ["Referer", "Origin"])
def test_a_lost_host_is_told_with_both_hosts_and_the_header(behind: Visitor, header: str) -> None:
    told = refused(behind, **PROXIED, **{header: "https://hawser.example/login"})
    assert "https://hawser.example" in told
    assert "https://127.0.0.1:8000" in told
    assert "proxy_set_header Host $host;" in told
    assert "proxy_set_header X-Forwarded-Proto $scheme;" in told


def test_a_lost_port_is_told_with_what_keeps_it(behind: Visitor) -> None:
    told = refused(
        behind,
        **PROXIED,
        X_Forwarded_Host="hawser.example",
        Referer="https://hawser.example:8443/login",
    )
    assert "https://hawser.example:8443" in told
    assert "proxy_set_header Host $http_host;" in told


def test_programs_are_told_in_json(behind: Visitor) -> None:
    told = refused(
        behind, **PROXIED, Referer="https://hawser.example/login", Accept="application/json"
    )
    assert "https://hawser.example" in json.loads(told)["sentence"]


def test_a_missing_referer_is_told(behind: Visitor) -> None:
    assert "(Referer)" in refused(behind, **PROXIED)
    told = refused(behind, **PROXIED, Origin="https://127.0.0.1:8000")
    assert "(Referer)" in told


def test_an_old_page_is_told_as_before(behind: Visitor) -> None:
    answer = behind.client.post("/login", data={"csrf_token": "old"})
    assert (answer.status_code, "open too long" in answer.text) == (400, True)


def test_a_page_without_tls_whose_cookie_was_not_kept_is_told(make_app: MakeApp) -> None:
    client = make_app(cookie_secure="yes").test_client()
    headers = {"Referer": "http://localhost/login"}
    answer = client.post("/login", data={"csrf_token": "x"}, headers=headers)
    assert "over HTTPS only" in answer.text


@pytest.mark.parametrize(
    "address",
    [
        "https://ann:canary@hawser.example/",
        "https://evil\x1b[31m.example/",
        "https://evil\u202e.example/<script>",
        "https://" + "e" * 5_000,
        "https://[::1/",
        "https://x:99999999/",
        "null",
        "https://",
    ],
)
def test_a_hostile_address_is_shown_short_and_harmless(
    behind: Visitor, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    told = refused(behind, **PROXIED, Origin=address.encode().decode("latin-1"))
    assert "canary" not in told
    assert "\x1b" not in told
    assert "<script>" not in told.partition("</head>")[2]
    assert "e" * 200 not in told


def test_the_log_says_it_in_one_line_a_minute(
    behind: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines: list[dict[str, Any]] = []

    class Log:
        def warning(self, event: str, **values: Any) -> None:
            lines.append({"event": event, **values})

    monkeypatch.setattr(form_refusals, "log", Log())
    for number in range(3):
        refused(behind, **PROXIED, Referer=f"https://hawser-{number}.example/\x1b[0m")
    (line,) = lines
    assert LOGGED in line["event"]
    assert line["browser"] == "https://hawser-0.example"
    assert line["proxy"] == "https://127.0.0.1:8000"
