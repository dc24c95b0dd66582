"""A client has one address, however a proxy writes it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.web import people
from tests.web.conftest import Visitor
from tests.web.people import ANN, PASSWORD
from webapp.front import client_address
from webapp.people.throttle import Attempt, Throttle, TooManyAttemptsError

ONE_CLIENT = (
    "192.0.2.4",
    "192.0.2.4:5678",
    "192.0.2.4:",
    '"192.0.2.4:443"',
    " 192.0.2.4 ",
    "[192.0.2.4]:80",
    "::ffff:192.0.2.4",
    "::FFFF:c000:204",
    "[::ffff:192.0.2.4]:443",
    "::ffff:192.0.2.4:443",
)
ANOTHER = (
    "2001:db8::1",
    "[2001:db8::1]",
    "[2001:db8::1]:443",
    '"[2001:DB8:0::1]:443"',
    "2001:db8:0:0:0:0:0:1",
    "2001:db8:0:0:0:0:0:1:443",
    "[2001:db8::1%eth0]:443",
)


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is stored is text on either database."""
    return sqlite_url


@pytest.mark.parametrize("text", ONE_CLIENT)
def test_every_way_to_write_an_ipv4_address_is_that_address(text: str) -> None:
    assert client_address.plain(text) == "192.0.2.4"


@pytest.mark.parametrize("text", ANOTHER)
def test_every_way_to_write_an_ipv6_address_is_that_address(text: str) -> None:
    assert client_address.plain(text) == "2001:db8::1"


@pytest.mark.parametrize("text", ["", "unknown", "_hidden", "a:b:c", "[", "[]:1", ":", "300.1.2.3"])
def test_what_is_no_address_stays_a_text(text: str) -> None:
    assert client_address.plain(text) == text


def test_what_is_no_address_is_not_kept_at_any_length() -> None:
    assert len(client_address.plain("x" * 10_000)) == client_address.MOST_CHARACTERS


def test_another_port_is_no_other_client() -> None:
    throttle, passed = Throttle(), 0
    for text in (*ONE_CLIENT, *(f"192.0.2.4:{port}" for port in range(2000, 2010))):
        try:
            throttle.count(Attempt("password", ANN, text))
            passed += 1
        except TooManyAttemptsError:
            continue
    assert passed == 5


def _sign_in(app: Flask, forwarded: str, password: str = PASSWORD) -> int:
    visitor = Visitor(app.test_client())
    told = {"X-Forwarded-For": forwarded}
    data = {"email": ANN, "password": password}
    return visitor.post("/login", data, headers=told).status_code


@pytest.mark.parametrize("forwarded", ["192.0.2.4:5678", "10.0.0.1, [::ffff:192.0.2.4]:81"])
def test_audit_log_and_sessions_show_the_address_without_the_port(
    make_app: Callable[..., Flask], engine: Engine, forwarded: str
) -> None:
    app = make_app(trusted_proxies=1)
    people.make(app)
    assert _sign_in(app, forwarded) == 302
    assert people.one(engine, "select address from user_session") == "192.0.2.4"
    told = "select address from audit_entry where action = 'session.start'"
    assert people.one(engine, told) == "192.0.2.4"


def test_behind_a_proxy_another_port_gives_no_more_attempts(
    make_app: Callable[..., Flask],
) -> None:
    app = make_app(trusted_proxies=1)
    people.make(app)
    answers = [_sign_in(app, f"192.0.2.4:{port}", "wrong") for port in range(4000, 4007)]
    assert answers[-1] == 429


def test_without_a_trusted_proxy_the_header_is_not_looked_at(app: Flask, engine: Engine) -> None:
    people.make(app)
    assert _sign_in(app, "192.0.2.4:5678") == 302
    assert people.one(engine, "select address from user_session") == "127.0.0.1"
