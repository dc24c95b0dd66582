"""What two requests do to accounts at the same moment, on both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event

from tests.web import people
from tests.web.conftest import signed_in
from webapp import store
from webapp.people import registry, second_factor, tables
from webapp.settings import WebSettings


def test_two_administrators_cannot_take_each_other_away_at_once(
    app: Flask, engine: Engine, make_settings: Callable[..., WebSettings]
) -> None:
    numbers = [people.make(app, "admin", f"{name}@hawser.example") for name in ("ann", "bob")]
    settings = make_settings()

    def deactivate(number: int) -> bool:
        with app.app_context():
            try:
                with tables.changing() as transaction:
                    registry.deactivate(transaction, registry.person(transaction, settings, number))
            except registry.RefusedError:
                return False
            finally:
                store.db.session.remove()
            return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(deactivate, numbers)) == [False, True]
    assert people.one(engine, "select count(*) from user_account where active") == 1


def test_one_account_is_given_two_roles_at_once_and_has_one(app: Flask, engine: Engine) -> None:
    admins = [signed_in(app, "admin") for _number in range(2)]
    tokens = [admin.token() for admin in admins]
    number = people.make(app, "viewer")

    def give(at: int, role: str) -> int:
        data = {"csrf_token": tokens[at], "id": number, "role": role}
        return admins[at].client.post("/admin/people/role", data=data).status_code

    with ThreadPoolExecutor(2) as pool:
        assert [*pool.map(give, (0, 1), ("operator", "admin"))] == [303, 303]
    assert people.one(engine, f"select count(*) from role_user where user_id = {number}") == 1


def test_a_password_that_is_reset_meanwhile_stays_so(
    app: Flask, engine: Engine, make_settings: Callable[..., WebSettings]
) -> None:
    number = people.make(app)
    here = people.visitor_of(app)

    def reset() -> None:
        with app.app_context(), tables.changing() as transaction:
            found = registry.person(transaction, make_settings(), number)
            registry.reset_password(transaction, found)

    def once_the_old_password_was_right(_session: Any) -> None:
        with ThreadPoolExecutor(1) as administrator:
            administrator.submit(reset).result()

    event.listen(store.db.session, "after_commit", once_the_old_password_was_right, once=True)
    assert people.new_password(here).status_code == 401
    assert people.one(engine, "select must_change_password from user_account")


def test_a_password_is_changed_and_a_session_ended_on_both(app: Flask, engine: Engine) -> None:
    people.make(app)
    here, elsewhere = people.visitor_of(app, remember="y"), people.visitor_of(app)
    assert people.new_password(here).status_code == 302
    assert people.is_in(here)
    assert not people.is_in(elsewhere)
    here.post("/logout")
    assert people.one(engine, "select count(*) from user_session") == 0


def test_a_recovery_code_opens_for_one_of_two(app: Flask, engine: Engine) -> None:
    number = people.make(app)
    keeper: Any = app.extensions["security"].mf_recovery_codes_util
    with app.app_context():
        codes, stored = second_factor.fresh_codes()
        with tables.changing() as transaction:
            second_factor.turn_on(transaction, number, second_factor.new_secret(), stored)

    def use(_number: int) -> bool:
        with app.app_context():
            return bool(keeper.check_recovery_code(SimpleNamespace(id=number), codes[0]))

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(use, range(2))) == [False, True]


def test_an_account_is_made_beside_a_worker_that_writes(app: Flask, engine: Engine) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("only SQLite has one lock for all")
    file = engine.url.database or ""

    def write(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        # What was read until here is old afterwards, unless the lock is taken already.
        if statement.startswith("SELECT"):
            with suppress(sqlite3.OperationalError), sqlite3.connect(file, timeout=0) as worker:
                worker.execute("update config_version set version = version + 1")
            worker.close()

    with app.app_context():
        event.listen(store.engine(), "after_cursor_execute", write)
    people.make(app)
    assert people.one(engine, "select count(*) from user_account") == 1
