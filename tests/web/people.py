"""Accounts for tests: made with a password, found in the tables, signed in with a code."""

from __future__ import annotations

import re
from typing import Any

from flask import Flask
from sqlalchemy import Engine, text

from webapp import accounts

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
