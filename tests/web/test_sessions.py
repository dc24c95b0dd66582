"""Sessions end: at sign-out, with the password, with the account, and by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.web import people, rows
from tests.web.conftest import Visitor, signed_in
from tests.web.people import ANN, PASSWORD, is_in, new_password, visitor_of
from webapp.people import accounts, presence

COOKIE = "hawser-session"


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What needs both databases is in test_session_times.py."""
    return sqlite_url


def cookie_of(visitor: Visitor) -> str:
    found = visitor.client.get_cookie(COOKIE)
    assert found is not None
    return found.value


def replayed(app: Flask, cookie: str) -> Visitor:
    """Return another browser that sends a copy of a cookie."""
    client = app.test_client()
    client.set_cookie(COOKIE, cookie)
    return Visitor(client)


def test_a_copied_cookie_is_dead_after_sign_out(app: Flask, engine: Engine) -> None:
    people.make(app)
    visitor = visitor_of(app, remember="y")
    cookie = cookie_of(visitor)
    assert is_in(replayed(app, cookie))
    visitor.post("/logout")
    assert not is_in(replayed(app, cookie))
    assert people.one(engine, "select count(*) from user_session") == 0
    assert [entry[0] for entry in people.audit(engine)] == ["session.start", "session.end"]


def test_a_new_password_ends_every_other_session_and_renews_this_one(
    app: Flask, engine: Engine
) -> None:
    people.make(app)
    here, elsewhere = visitor_of(app), visitor_of(app)
    before = cookie_of(here)
    assert new_password(here).location == "/admin/"
    assert is_in(here)
    assert not is_in(elsewhere)
    assert not is_in(replayed(app, before))


def test_a_deactivated_account_is_out_whoever_changed_the_row(app: Flask, engine: Engine) -> None:
    people.make(app)
    visitor = visitor_of(app)
    rows.sql(engine, "update user_account set active = false")
    assert not is_in(visitor)
    assert Visitor(app.test_client()).sign_in(ANN, PASSWORD).status_code == 200


@pytest.mark.parametrize("role", ["viewer", "admin"])
def test_signing_out_everywhere_else_keeps_this_session(app: Flask, role: str) -> None:
    people.make(app, role)
    here, elsewhere = visitor_of(app), visitor_of(app)
    assert here.get("/admin/account/").text.count("this one") == 1
    assert "1 session ended." in here.get(here.post("/admin/account/sessions").location).text
    assert is_in(here)
    assert not is_in(elsewhere)


def test_a_session_from_before_signing_in_is_not_taken_over(app: Flask, engine: Engine) -> None:
    people.make(app)
    visitor = Visitor(app.test_client())
    token = visitor.token()
    with visitor.client.session_transaction() as session:
        session["planted"] = "by somebody else"
    planted = cookie_of(visitor)
    visitor.sign_in(ANN, PASSWORD)
    assert not is_in(replayed(app, planted))
    assert visitor.token() != token
    with visitor.client.session_transaction() as session:
        assert "planted" not in session


@pytest.mark.parametrize("change", ["cut", "flip", "swap", "none"])
def test_a_cookie_that_was_tampered_with_opens_nothing(app: Flask, change: str) -> None:
    people.make(app)
    cookie = cookie_of(visitor_of(app))
    changed = {
        "cut": cookie[:-3],
        "flip": cookie[:20] + ("A" if cookie[20] != "A" else "B") + cookie[21:],
        "swap": cookie.partition(".")[0] + ".x." + cookie.rpartition(".")[2],
        "none": "",
    }[change]
    assert not is_in(replayed(app, changed))


def test_a_cookie_names_its_session_and_its_account(app: Flask) -> None:
    first, second = signed_in(app, "viewer"), signed_in(app, "admin")
    with second.client.session_transaction() as session:
        key = session["_user_id"]
    with first.client.session_transaction() as session:
        session["_user_id"] = key
    assert not is_in(first)


def test_neither_a_token_nor_the_librarys_cookie_opens_anything(app: Flask, engine: Engine) -> None:
    people.make(app)
    visitor = visitor_of(app, remember="y")
    assert visitor.client.get_cookie("remember_token") is None
    with app.test_request_context():
        user: Any = accounts.datastore.find_user(email=ANN)
        token = str(user.get_auth_token())
    stranger = Visitor(app.test_client())
    assert stranger.get("/admin/", headers={"Authentication-Token": token}).status_code == 302
    assert stranger.get("/admin/", query_string={"auth_token": token}).status_code == 302


def test_the_table_holds_no_name_that_opens_a_session(app: Flask, engine: Engine) -> None:
    visitor = signed_in(app, "viewer")
    with visitor.client.session_transaction() as session:
        token = session[presence.KEY]
    stored = people.one(engine, "select token_hash from user_session")
    assert token != stored
    assert len(stored) == 64
