"""When sessions end by themselves, by the clock of either database."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.web import people, rows
from tests.web.conftest import Visitor, signed_in
from tests.web.people import is_in, visitor_of
from webapp import store


def test_a_session_that_is_not_used_ends(app: Flask, engine: Engine) -> None:
    visitor = signed_in(app, "viewer")
    _let_pass(engine, "seen_at", hours=11.9)
    assert is_in(visitor)
    _let_pass(engine, "seen_at", hours=12.1)
    assert not is_in(visitor)


def test_a_session_ends_after_a_week_however_it_is_used(app: Flask, engine: Engine) -> None:
    visitor = signed_in(app, "viewer")
    _let_pass(engine, "expires_at", hours=167.9)
    assert is_in(visitor)
    _let_pass(engine, "expires_at", hours=0.2)
    assert not is_in(visitor)


def test_staying_signed_in_lasts_a_month_without_use(app: Flask, engine: Engine) -> None:
    people.make(app)
    visitor = visitor_of(app, remember="y")
    answer = visitor.get("/admin/account/")
    assert "stays signed in" in answer.text
    assert "Expires=" in answer.headers["Set-Cookie"]
    _let_pass(engine, "seen_at", hours=29 * 24)
    assert is_in(visitor)
    _let_pass(engine, "expires_at", hours=30 * 24 + 1)
    assert not is_in(visitor)


def _let_pass(engine: Engine, column: str, hours: float) -> None:
    """Move a time of all sessions into the past."""
    if engine.dialect.name == "sqlite":
        moved = f"strftime('%Y-%m-%d %H:%M:%f', {column}, '-{hours} hours') || '000'"
    else:
        moved = f"{column} - interval '{hours} hours'"
    rows.sql(engine, f"update user_session set {column} = {moved}")


def test_ended_rows_go_at_the_next_sign_in(app: Flask, engine: Engine) -> None:
    people.make(app)
    signed_in(app, "viewer")
    _let_pass(engine, "expires_at", hours=200)
    visitor_of(app)
    assert people.one(engine, "select count(*) from user_session") == 1


def test_the_time_of_use_moves_only_now_and_then(app: Flask, engine: Engine) -> None:
    visitor = signed_in(app, "viewer")
    moment = people.one(engine, "select seen_at from user_session")
    visitor.get("/admin/")
    assert people.one(engine, "select seen_at from user_session") == moment
    _let_pass(engine, "seen_at", hours=1)
    visitor.get("/admin/")
    assert people.one(engine, "select seen_at from user_session") >= moment


def test_a_session_goes_on_when_its_use_cannot_be_written_down(
    make_app: Callable[..., Flask], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("only SQLite has one lock for all")
    monkeypatch.setattr(store, "STATEMENT_TIMEOUT", 0.2)
    visitor = signed_in(make_app(), "viewer")
    _let_pass(engine, "seen_at", hours=1)
    with engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as holder:
        holder.exec_driver_sql("select 1")
        assert is_in(visitor)


@pytest.mark.parametrize("page", ["/admin/", "/admin/?kiosk=1", "/admin/connections/", "details"])
def test_a_page_that_is_only_open_keeps_no_session_alive(
    app: Flask, engine: Engine, page: str
) -> None:
    visitor = signed_in(app, "viewer")
    number = rows.record(engine)
    page = page.replace("details", f"/admin/connections/details/?id={number}")
    found = re.search(r'data-(?:live|wall)="([^"]+)"', visitor.get(page).text)
    assert found
    _assert_is_no_use(visitor, engine, html.unescape(found[1]))


@pytest.mark.parametrize(
    "address", ["/admin/messages/live?after=0", "/admin/commands/1", "/api/v1/mqtt/health/"]
)
def test_what_programs_ask_for_keeps_no_session_alive(
    app: Flask, engine: Engine, address: str
) -> None:
    _assert_is_no_use(signed_in(app, "operator"), engine, address)


def _assert_is_no_use(visitor: Visitor, engine: Engine, address: str) -> None:
    _let_pass(engine, "seen_at", hours=11.9)
    before = people.one(engine, "select seen_at from user_session")
    assert visitor.get(address, headers={"Accept": "application/json"}).status_code != 401
    assert people.one(engine, "select seen_at from user_session") == before
    _let_pass(engine, "seen_at", hours=0.2)
    assert not is_in(visitor)


def test_whoever_comes_back_after_the_end_is_told_so_once(app: Flask, engine: Engine) -> None:
    visitor = signed_in(app, "viewer")
    _let_pass(engine, "seen_at", hours=12.1)
    poll = visitor.get("/admin/live", headers={"Accept": "application/json"})
    assert poll.status_code == 401
    sentence = "Your session has ended. Sign in again."
    assert visitor.get("/admin/events/").location.startswith("/login?next=")
    assert sentence in visitor.get("/login").text
    visitor.get("/admin/")
    assert sentence not in visitor.get("/login").text
