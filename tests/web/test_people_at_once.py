"""What two requests do to accounts at the same moment, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from flask import Flask
from sqlalchemy import Engine

from tests.web import people
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
