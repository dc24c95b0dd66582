"""The shared picture: the truth of this moment for few connections, of a second ago for many."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from sqlalchemy import Engine, event, text

from database import config_version
from tests.support.process import wait_until
from tests.web import rows
from tests.web.conftest import Visitor, signed_in
from webapp.picture import newest
from webapp.store import db

HEALTH = "/api/v1/mqtt/health/"
ONE_DATABASE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)


def status(visitor: Visitor) -> str:
    return str(json.loads(visitor.get(HEALTH).text)["status"])


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every installation counts as one with thousands of connections."""
    monkeypatch.setattr(newest, "FEW", 0)


@pytest.fixture
def statements(app: Flask) -> Iterator[list[str]]:
    """What the database is asked from now on."""
    found: list[str] = []

    def note(*arguments: object) -> None:
        found.append(str(arguments[2]))

    with app.app_context():
        engine = db.engine
    event.listen(engine, "before_cursor_execute", note)
    yield found
    event.remove(engine, "before_cursor_execute", note)


def test_what_is_committed_is_seen_at_once(anonymous: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.status(worker, number)
    rows.status(worker, rows.record(worker, "other"))
    assert status(anonymous) == "pass"
    rows.sql(
        worker, "update connection_status set state = 'refused' where connection_id = :n", n=number
    )
    assert status(anonymous) == "warn"


def test_nothing_is_read_again_while_nothing_is_committed(
    anonymous: Visitor, worker: Engine, statements: list[str]
) -> None:
    rows.status(worker, rows.record(worker))
    anonymous.get(HEALTH)
    statements.clear()
    anonymous.get(HEALTH)
    assert not any("connection_status" in statement for statement in statements)


@ONE_DATABASE
def test_with_many_an_answer_costs_no_statement_and_the_next_picture_is_taken_beside(
    anonymous: Visitor, worker: Engine, statements: list[str], many: None
) -> None:
    rows.status(worker, rows.record(worker))
    assert status(anonymous) == "pass"
    statements.clear()
    rows.sql(worker, "update connection_status set state = 'refused'")
    assert (status(anonymous), statements) == ("pass", [])
    wait_until(lambda: status(anonymous) == "fail", newest.WAIT_AFTER + 1, "the refusal")


@ONE_DATABASE
def test_with_many_who_edits_sees_the_edit(operator: Visitor, worker: Engine, many: None) -> None:
    number = rows.record(worker, "before")
    assert "before" in operator.get("/admin/connections/").text
    operator.post("/admin/connections/delete/", {"id": str(number)})
    assert ">before<" not in operator.get("/admin/connections/").text


@ONE_DATABASE
def test_with_many_a_heartbeat_that_grows_stale_is_told_at_once(
    anonymous: Visitor, worker: Engine, many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.status(worker, rows.record(worker))
    rows.sql(worker, "delete from worker_heartbeat")
    rows.heartbeat(worker, age=5.7)
    monkeypatch.setattr(newest, "RENEW_AFTER", 60.0)
    monkeypatch.setattr(newest, "WAIT_AFTER", 60.0)
    assert status(anonymous) == "pass"
    monkeypatch.setattr(newest, "RENEW_AFTER", 0.1)
    wait_until(lambda: status(anonymous) == "fail", 1, "the stale heartbeat")


@ONE_DATABASE
def test_a_value_that_fits_no_line_is_read_all_the_same(anonymous: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker))
    rows.status(worker, rows.record(worker, "odd"))
    rows.sql(worker, "update connection set port = x'ff' where name = 'odd'")
    assert status(anonymous) == "pass"


@ONE_DATABASE
def test_a_database_that_does_not_answer_is_503_in_time(
    app: Flask, anonymous: Visitor, worker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(newest, "ANSWER_WITHIN", 0.1)
    monkeypatch.setattr(config_version, "read", lambda _transaction: go_on.wait(10))
    answer = anonymous.get(HEALTH)
    go_on.set()
    assert answer.status_code == 503
    assert "does not answer" in json.loads(answer.text)["output"]
    monkeypatch.undo()
    wait_until(lambda: status(anonymous) == "pass", 3, "the database to answer again")


@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("anonymous_may_see", ["summary", "status"])
def test_a_caller_with_a_session_waits_no_longer_for_a_database_that_does_not_answer(
    make_app: Callable[..., Flask],
    worker: Engine,
    monkeypatch: pytest.MonkeyPatch,
    anonymous_may_see: str,
) -> None:
    monkeypatch.setattr(newest, "ANSWER_WITHIN", 0.1)
    visitor = signed_in(make_app(health_anonymous=anonymous_may_see), "viewer")
    with worker.begin() as transaction:
        transaction.execute(text("lock table user_session, worker_heartbeat"))
        began = time.monotonic()
        answer = visitor.get(HEALTH)
        took = time.monotonic() - began
    assert (answer.status_code, took < 2) == (503, True)
    wait_until(lambda: status(visitor) == "pass", 3, "the database to answer again")


@ONE_DATABASE
def test_an_ended_session_gets_no_more_than_anybody(operator: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker))
    cookie = operator.get(HEALTH).request.headers["Cookie"]
    assert "hostname" in json.loads(operator.get(HEALTH).text)["worker"]
    operator.post("/logout")
    replayed = operator.client.application.test_client().get(HEALTH, headers={"Cookie": cookie})
    assert "hostname" not in json.loads(replayed.text)["worker"]


@ONE_DATABASE
def test_compressed_and_plain_answers_say_the_same(anonymous: Visitor, worker: Engine) -> None:
    import gzip

    rows.status(worker, rows.record(worker))
    plain = anonymous.get(HEALTH)
    packed = anonymous.get(HEALTH, headers={"Accept-Encoding": "gzip"})
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
