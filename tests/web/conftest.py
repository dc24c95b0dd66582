"""The application on a real database, and visitors with and without an account."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jinja2 import FileSystemBytecodeCache
from sqlalchemy import Engine
from werkzeug.test import TestResponse

from tests.conftest import ENCRYPTION_KEY, HOSTNAME
from tests.support import addresses
from webapp.app import create_app
from webapp.people import accounts, presence, sessions, tables
from webapp.settings import WebSettings
from webapp.store import db

SECRET_KEY = "k" * 40
_TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')


class Visitor:
    """Somebody at a browser: keeps cookies and sends the token of the page."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.client.get(path, **options)

    def post(self, path: str, data: dict[str, Any] | None = None, **options: Any) -> TestResponse:
        return self.client.post(path, data={"csrf_token": self.token(), **(data or {})}, **options)

    def token(self) -> str:
        for page in ("/change", "/login"):
            if found := _TOKEN.search(self.client.get(page).text):
                return found[1]
        msg = "no page with a token"
        raise AssertionError(msg)

    def sign_in(self, email: str, password: str, **fields: str) -> TestResponse:
        return self.post("/login", {"email": email, "password": password, **fields})


@pytest.fixture
def make_settings(home: Path, database_url: str) -> Callable[..., WebSettings]:
    """A function that returns settings, each with the given differences."""

    def make(**values: Any) -> WebSettings:
        defaults: dict[str, Any] = {
            "home": home,
            "database_url": database_url,
            "encryption_keys": ENCRYPTION_KEY,
            "secret_key": SECRET_KEY,
            "hostname": HOSTNAME,
        }
        return WebSettings(**(defaults | values))

    return make


@pytest.fixture(scope="session", autouse=True)
def compiled_addresses() -> Iterator[None]:
    """Compiling the rules of the addresses is half of what making an application costs."""
    with addresses.compiled_once():
        yield


@pytest.fixture(scope="session")
def compiled_templates(tmp_path_factory: pytest.TempPathFactory) -> FileSystemBytecodeCache:
    """Templates are compiled once a run, not once an application."""
    return FileSystemBytecodeCache(str(tmp_path_factory.mktemp("templates")))


@pytest.fixture
def make_app(
    make_settings: Callable[..., WebSettings], compiled_templates: FileSystemBytecodeCache
) -> Iterator[Callable[..., Flask]]:
    """A function that returns applications; their engines are closed at the end."""
    made: list[Flask] = []

    def make(**values: Any) -> Flask:
        app = create_app(make_settings(**values))
        app.jinja_env.bytecode_cache = compiled_templates
        # A hash that takes a tenth of a second protects nobody here.
        app.extensions["security"].pwd_context.update(argon2__rounds=1, argon2__memory_cost=64)
        made.append(app)
        return app

    yield make
    for app in made:
        with app.app_context():
            db.engine.dispose()


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def anonymous(app: Flask) -> Visitor:
    """A visitor without an account."""
    return Visitor(app.test_client())


def signed_in(app: Flask, role: str) -> Visitor:
    """Return a visitor with a session of a new account; no password is hashed for it."""
    with app.app_context():
        accounts.ensure_roles()
        user = accounts.datastore.create_user(
            email=f"{role}-{uuid.uuid4().hex}@hawser.example", password=None, roles=[role]
        )
        db.session.commit()
        return resume(app, user)


def resume(app: Flask, user: Any, **options: Any) -> Visitor:
    """Return a visitor with a new session of an account."""
    key = user.fs_uniquifier
    with tables.changing() as transaction:
        settings = accounts.settings_of_app()
        token = sessions.start(transaction, settings, user.id, **options)
    client = app.test_client()
    with client.session_transaction() as session:
        session["_user_id"] = key
        session["_fresh"] = True
        session[presence.KEY] = token
    return Visitor(client)


@pytest.fixture
def operator(app: Flask) -> Visitor:
    """A visitor who may edit."""
    return signed_in(app, "operator")


@pytest.fixture
def viewer(app: Flask) -> Visitor:
    """A visitor who may read."""
    return signed_in(app, "viewer")


@pytest.fixture
def unreachable_app(make_app: Callable[..., Flask]) -> Flask:
    """An application whose database cannot be opened."""
    return make_app(database_url="sqlite:////nonexistent/directory/hawser.db")


@pytest.fixture
def worker(engine: Engine) -> Engine:
    """A fresh heartbeat; returns the engine to write more rows with."""
    from tests.web import rows

    rows.heartbeat(engine)
    return engine
