"""A database that does not take a change: nothing is lost, nothing of it is shown."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, text

from tests.web import rows
from tests.web.conftest import Visitor, signed_in
from tests.web.forms import LIST, NEW, SECRET, errors, form, one
from tests.web.publications import JSON, SEND
from tests.web.publications import form as message

BUSY = "The database could not take this just now. Nothing was changed"
#: What tells of the database's inside.
INSIDE = ("INSERT", "UPDATE", "SELECT", "sqlalche", "sqlite3", "psycopg")


@pytest.fixture
def app(make_app: Callable[..., Flask], monkeypatch: pytest.MonkeyPatch) -> Flask:
    """An application that waits shortly for locks."""
    monkeypatch.setattr("webapp.store.STATEMENT_TIMEOUT", 0.2)
    return make_app()


@pytest.fixture
def lock(engine: Engine) -> Iterator[Callable[[], Transaction]]:
    """A function that takes the lock of all writers until the end of the test."""
    with engine.connect() as transaction:

        def take() -> Transaction:
            if engine.dialect.name == "sqlite":
                # The driver's own transaction is there: a write in it takes the lock.
                transaction.execute(text("update config_version set version = version"))
            else:
                for table in ("connection", "command"):
                    transaction.execute(text(f"lock table {table} in share row exclusive mode"))
            return transaction

        yield take
        transaction.rollback()


def test_a_locked_database_loses_no_form_and_shows_nothing_of_itself(
    app: Flask, engine: Engine, worker: Engine, lock: Callable[[], Transaction]
) -> None:
    operator = signed_in(app, "operator")
    number = rows.record(engine, "there", username="u")
    content = json.dumps([{"name": "there", "port": 1}]).encode()
    looked = operator.post(LIST + "import", {"file": (io.BytesIO(content), "c.json")}).text
    token = looked.partition('name="token" value="')[2].partition('"')[0]
    edit = f"{LIST}edit/?id={number}"
    fields = form(name="there", host="typed.example", username="u", password=SECRET, revision="1")
    before = operator.token()
    held = lock()
    for path in (NEW, edit):
        answer = operator.client.post(path, data=fields | {"csrf_token": before, "name": "mine"})
        assert answer.status_code == 200
        assert BUSY in answer.text
        assert 'value="typed.example"' in answer.text
        # It would lose what was entered, and cures only a conflict.
        assert "Open it again" not in answer.text
        assert errors(answer)["password"] == "Nothing is saved yet: enter this once more."
        assert not [word for word in (SECRET, *INSIDE) if word in answer.text]
    sent = message(number, payload="typed payload") | {"csrf_token": before}
    page = operator.client.post(SEND, data=sent).text
    assert BUSY in page
    assert "typed payload" in page
    assert (
        operator.client.post(SEND, data=sent, headers=JSON).get_json()["sentence"].startswith(BUSY)
    )
    refused = operator.client.post(LIST + "import", data={"csrf_token": before, "token": token})
    assert BUSY in refused.text
    kept = refused.text.partition('name="token" value="')[2].partition('"')[0]
    assert kept != token
    assert not [word for word in INSIDE if word in page + refused.text]
    for path, data in (
        (LIST + "action/", {"action": "delete", "rowid": number}),
        (LIST + "delete/", {"id": number}),
        (LIST + "command/", {"id": number, "kind": "reconnect"}),
    ):
        answer = operator.client.post(path, data=data | {"csrf_token": before})
        assert answer.status_code == 503
        assert not [word for word in INSIDE if word in answer.text]
    held.rollback()
    assert operator.post(edit, fields).status_code == 302
    edits = "select count(*) from audit_entry where action like 'connection.%'"
    assert one(engine, edits) == 1


def test_a_copy_takes_the_stored_secrets_only_if_asked_and_never_through_the_page(
    operator: Visitor, engine: Engine
) -> None:
    operator.post(NEW, form(username="u", password=SECRET))
    source = one(engine, "select id from connection")
    for name, extra in (("without", {}), ("with", {"with_secrets": "y"})):
        fields = form(name=name, site=name, username="u" if extra else "") | extra
        assert operator.post(f"{NEW}?from={source}", fields).status_code == 302
    told = "select changes from audit_entry where action = 'connection.duplicate'"
    assert one(engine, "select password is not null from connection where name = 'with'")
    assert not one(engine, "select password is not null from connection where name = 'without'")
    with engine.connect() as transaction:
        found = [str(each) for each in transaction.scalars(text(told))]
    assert all("plant-1" in each and SECRET not in each for each in found)
    rows.sql(engine, "update connection set password = 'x' where name = 'plant-1'")
    fields = form(name="third", site="third", username="u", with_secrets="y")
    answer = operator.post(f"{NEW}?from={source}", fields)
    assert "password" in errors(answer)
    assert one(engine, "select count(*) from connection") == 3
