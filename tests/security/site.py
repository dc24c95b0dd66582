"""An application under attack: its addresses, its visitors and what its tables hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from flask_security import hash_password
from sqlalchemy import Engine, text
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from database.base import Base
from tests.web.conftest import signed_in
from webapp.store import db

#: Of the accounts that `Site.client` makes.
PASSWORD = "correct horse battery"
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
#: What a look may move: when a session was used last.
MOVES_BY_ITSELF = {"user_session": {"seen_at"}}


@dataclass(frozen=True)
class Address:
    """One thing that the application answers."""

    endpoint: str
    method: str
    path: str


class Site:
    """One application and its database."""

    def __init__(self, app: Flask) -> None:
        self.app = app
        with app.app_context():
            self.engine: Engine = db.engine
            self._hash = hash_password(PASSWORD)

    def client(self, role: str | None = None) -> Caller:
        """Return a browser, signed in if there is a `role`."""
        if role is None:
            return Caller(self.app.test_client())
        caller = Caller(signed_in(self.app, role).client)
        with self.engine.begin() as transaction:
            statement = "update user_account set password = :hash where password is null"
            transaction.execute(text(statement), {"hash": self._hash})
        return caller

    def rules(self) -> list[Rule]:
        return sorted(self.app.url_map.iter_rules(), key=lambda rule: (rule.rule, rule.endpoint))

    def addresses(self, method: str) -> Iterator[Address]:
        """Yield every address that takes `method`, its numbers those of rows that exist."""
        for rule in self.rules():
            if method in (rule.methods or ()):
                yield Address(rule.endpoint, method, path_of(rule))

    def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that is stored, table by table."""
        with self.engine.connect() as transaction:
            return {
                table.name: sorted(
                    tuple(map(repr, row))
                    for row in transaction.execute(
                        text(f"select {_columns(table)} from {table.name}")
                    )
                )
                for table in Base.metadata.sorted_tables
            }


def _columns(table: Any) -> str:
    left_out = MOVES_BY_ITSELF.get(table.name, set())
    return ", ".join(f'"{column.name}"' for column in table.c if column.name not in left_out)


def path_of(rule: Rule, value: str = "1") -> str:
    """Return an address of a rule with `value` in each of its places."""
    built = rule.build(dict.fromkeys(rule.arguments, value))
    assert built is not None, rule
    return built[1]


class Caller:
    """A browser that knows the token of its session."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        self._token: str | None = None

    @property
    def token(self) -> str:
        if self._token is None:
            pages = (self.client.get(path).text for path in ("/change", "/login"))
            self._token = next(found[1] for page in pages if (found := _TOKEN.search(page)))
        return self._token

    def forget_token(self) -> None:
        """Read a new token next time: signing in has begun another session."""
        self._token = None

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token, **(data or {})}, **options)
