"""Accounts for tests: made with a password, found in the tables, signed in with a code."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from sqlalchemy import Engine, text

from tests.web.conftest import Visitor
from webapp.people import accounts

PASSWORD = "correct horse battery"
ANN = "ann@hawser.example"
ONE_TIME = re.compile(r'class="one-time">([^<]+)<')


def make(app: Flask, role: str = "admin", email: str = ANN, **values: Any) -> int:
    """Make an account and return its number."""
    with app.app_context():
        accounts.ensure_roles()
        return int(accounts.create(email, PASSWORD, role, **values).id)


def audit(engine: Engine) -> list[tuple[Any, ...]]:
    """Return (action, who, whom) of all that was written down, the oldest first."""
    wanted = "select action, actor, subject_name from audit_entry order by id"
    with engine.connect() as transaction:
        return [tuple(row) for row in transaction.execute(text(wanted))]


def one(engine: Engine, statement: str) -> Any:
    with engine.connect() as transaction:
        return transaction.scalar(text(statement))


def visitor_of(app: Flask, **fields: str) -> Visitor:
    """Sign in by the form."""
    visitor = Visitor(app.test_client())
    assert visitor.sign_in(ANN, PASSWORD, **fields).status_code == 302
    return visitor


def is_in(visitor: Visitor) -> bool:
    return visitor.get("/admin/").status_code == 200


def new_password(visitor: Visitor, password: str = "another horse battery", **more: str) -> Any:
    data = {"password": PASSWORD, "new_password": password, "new_password_confirm": password}
    return visitor.post("/change", data | more)
