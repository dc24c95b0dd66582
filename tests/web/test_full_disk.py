"""A database that takes no changes: each form is answered with 503 and says why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import Engine, text
from werkzeug.test import TestResponse

from database import migrate
from database.session import make_engine
from tests.support import disk
from tests.support.databases import Databases
from tests.support.disk import SmallDisk
from tests.web import people, rows
from tests.web.conftest import Visitor
from tests.web.people import ANN, PASSWORD, is_in, visitor_of
from webapp import store

DISK_BYTES = 4 << 20
FULL = "no room left on the disk of the database"
READ_ONLY = "takes no changes"
HELD = "nother process holds the database"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[SmallDisk]:
    if reason := disk.why_not():
        pytest.skip(reason)
    with SmallDisk(tmp_path / "disk", DISK_BYTES) as made:
        yield made


@pytest.fixture
def small_app(make_app: Callable[..., Flask], small_disk: SmallDisk) -> Flask:
    """The application, its SQLite file on a small disk."""
    url = f"sqlite:///{small_disk.path / 'hawser.db'}"
    engine = make_engine(url)
    migrate.upgrade(engine)
    engine.dispose()
    app = make_app(database_url=url)
    people.make(app)
    return app


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    return sqlite_url


def _is_told(answer: TestResponse, why: str) -> None:
    assert answer.status_code == 503, answer.text
    assert why in answer.text
    assert answer.headers["Retry-After"]


def _tracebacks(caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]) -> str:
    out = "".join(capsys.readouterr())
    return "\n".join(line for line in (caplog.text + out).splitlines() if "Traceback" in line)


def test_sign_in_on_a_full_disk_says_so(
    small_app: Flask,
    small_disk: SmallDisk,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    visitor = Visitor(small_app.test_client())
    small_disk.fill()
    _is_told(visitor.sign_in(ANN, PASSWORD), FULL)
    assert not is_in(visitor)
    assert _tracebacks(caplog, capsys) == ""
    small_disk.free()
    assert visitor.sign_in(ANN, PASSWORD).status_code == 302
    assert is_in(visitor)


def test_sign_out_on_a_full_disk_says_so_and_can_be_done_again(
    small_app: Flask, small_disk: SmallDisk
) -> None:
    visitor = visitor_of(small_app)
    small_disk.fill()
    _is_told(visitor.post("/logout"), FULL)
    small_disk.free()
    assert is_in(visitor)
    assert visitor.post("/logout").status_code == 302
    assert not is_in(visitor)


@pytest.mark.parametrize("remember", [{}, {"remember": "y"}])
def test_a_change_of_password_on_a_full_disk_changes_nothing(
    small_app: Flask, small_disk: SmallDisk, remember: dict[str, str]
) -> None:
    visitor = visitor_of(small_app, **remember)
    small_disk.fill()
    _is_told(people.new_password(visitor), FULL)
    small_disk.free()
    assert is_in(visitor)
    assert people.new_password(visitor).status_code == 302
    assert is_in(visitor)


def test_a_sign_in_with_an_old_hash_on_a_full_disk_says_so(
    small_app: Flask, small_disk: SmallDisk
) -> None:
    from tests.web.test_password_hashes import OLD_HASH

    with small_app.app_context(), store.writing() as transaction:
        transaction.execute(text("update user_account set password = :old"), {"old": OLD_HASH})
    small_disk.fill()
    _is_told(Visitor(small_app.test_client()).sign_in(ANN, PASSWORD), FULL)


def test_no_form_ends_in_an_error_of_ours_on_a_full_disk(
    small_app: Flask, small_disk: SmallDisk
) -> None:
    visitor = visitor_of(small_app)
    with small_app.app_context():
        number = rows.record(store.engine())
    paths = {
        re.sub("<[^>]+>", "1", rule.rule)
        for rule in small_app.url_map.iter_rules()
        if "POST" in (rule.methods or ()) and rule.endpoint != "security.logout"
    }
    small_disk.fill()
    fields = {"id": number, "rowid": number, "ids": number, "kind": "reconnect", "role": "viewer"}
    fields |= {"action": "enable", "name": "b", "site": "s", "host": "h", "revision": 1}
    fields |= {"email": "new@hawser.example", "password": PASSWORD, "code": "123456"}
    answers = {path: visitor.post(path, fields) for path in paths}
    assert [path for path, answer in answers.items() if answer.status_code == 500] == []
    assert sum(answer.status_code == 503 for answer in answers.values()) >= 3


def test_sign_in_beside_somebody_who_holds_the_database_says_so(
    make_app: Callable[..., Flask], engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "STATEMENT_TIMEOUT", 0.2)
    app = make_app()
    people.make(app)
    visitor = Visitor(app.test_client())
    with engine.connect().execution_options(sqlite_begin="BEGIN IMMEDIATE") as holder:
        holder.exec_driver_sql("select 1")
        _is_told(visitor.sign_in(ANN, PASSWORD), HELD)
    assert visitor.sign_in(ANN, PASSWORD).status_code == 302


def test_sign_in_on_a_read_only_disk_is_no_error_of_ours(
    small_app: Flask, small_disk: SmallDisk
) -> None:
    visitor = Visitor(small_app.test_client())
    visitor.get("/login")
    with small_app.app_context():
        store.engine().dispose()
    small_disk.protect()
    try:
        assert visitor.sign_in(ANN, PASSWORD).status_code == 503
    finally:
        small_disk.open_up()


def test_sign_in_to_a_read_only_postgresql_says_so(
    make_app: Callable[..., Flask], postgresql_databases: Databases
) -> None:
    with postgresql_databases.migrated() as url:
        app = make_app(database_url=url)
        people.make(app)
        visitor = Visitor(app.test_client())
        with app.app_context():
            with store.engine().begin() as transaction:
                name = transaction.scalar(text("select current_database()"))
                only = f"alter database {name} set default_transaction_read_only = on"
                transaction.execute(text(only))
            store.engine().dispose()
        _is_told(visitor.sign_in(ANN, PASSWORD), READ_ONLY)
        with app.app_context():
            store.engine().dispose()
