"""What two requests do to accounts at the same moment, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from flask import Flask
from sqlalchemy import Engine

from tests.web import people
from webapp import store
from webapp.people import registry, tables
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
