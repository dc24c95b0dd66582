"""Which passwords somebody may choose."""

from __future__ import annotations

import pytest
from flask import Flask
from sqlalchemy import Engine

from tests.web import people
from tests.web.conftest import Visitor
from tests.web.people import ANN, PASSWORD, new_password, visitor_of


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One database is enough for what is typed."""
    return sqlite_url


EASY = [
    ("short77", "Use at least 8 characters."),
    ("x" * 513, "Use at most 512 characters."),
    ("Password123!", "among the first that are guessed"),
    ("P4$$w0rd2026", "among the first that are guessed"),
    ("87654321", "among the first that are guessed"),
    ("aaaaaaaaaaaa", "among the first that are guessed"),
    ("xx-annabel-yy", "your own address"),
    (PASSWORD, "must be different"),
]


def test_a_password_that_is_easily_guessed_is_not_taken_however_often(app: Flask) -> None:
    people.make(app, email="annabel@hawser.example")
    visitor = Visitor(app.test_client())
    visitor.sign_in("annabel@hawser.example", PASSWORD)
    for password, words in EASY:
        answer = new_password(visitor, password)
        assert answer.status_code == 200
        assert words in answer.text, password


@pytest.mark.parametrize(
    "password", ["äöü" * 43, "  spaces at both ends  ", "\U0001f9f6\U0001f409\u00df" * 4]
)
def test_any_long_password_is_taken_as_it_is(app: Flask, engine: Engine, password: str) -> None:
    people.make(app)
    visitor = visitor_of(app)
    assert new_password(visitor, password).status_code == 302
    visitor.post("/logout")
    assert visitor.sign_in(ANN, password).status_code == 302
