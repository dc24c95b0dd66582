"""Two who write connections at the same moment, in two real transactions on PostgreSQL."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, text

from database.session import make_engine
from tests.conftest import HOSTNAME
from tests.support.databases import Databases
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.forms import LIST, NEW, form, one
from webapp import setup, store
from webapp.connections import importing, records
from webapp.connections.importing import RejectedError
from webapp.settings import WebSettings

pytestmark = pytest.mark.postgresql
#: What the first of the two stores, and the second would store beside it.
TAKEN = {"site": "site_88", "host": "broker.example", "client_id": "one-id"}
_WAITING = (
    "select count(*) from pg_stat_activity "
    "where datname = current_database() and wait_event_type = 'Lock'"
)


@pytest.fixture
def databases(postgresql_databases: Databases) -> Databases:
    """SQLite has one writer by itself."""
    return postgresql_databases


def beside(engine: Engine, second: Callable[[], Any], **values: Any) -> Any:
    """Let `second` begin while a transaction that writes a record is not committed yet."""
    with ThreadPoolExecutor(1) as pool:
        with store.writing(engine) as transaction:
            whole = {**records.defaults(), **TAKEN, "name": "first", **values}
            records.create(transaction, whole, [])
            running = pool.submit(second)
            wait_until_it_waits(engine, running)
        return running.result(10)


def wait_until_it_waits(engine: Engine, running: Future[Any]) -> None:
    deadline = time.monotonic() + 10
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as observer:
        while not (running.done() or observer.scalar(text(_WAITING))):
            assert time.monotonic() < deadline
            time.sleep(0.005)


def sending(visitor: Visitor, path: str, fields: dict[str, Any]) -> Callable[[], str]:
    """Return what sends a form; its token is there already."""
    data = fields | {"csrf_token": visitor.token()}
    return lambda: visitor.client.post(path, data=data).text


def creating(operator: Visitor, _engine: Engine) -> Callable[[], str]:
    return sending(operator, NEW, form(**TAKEN))


def editing(operator: Visitor, engine: Engine) -> Callable[[], str]:
    number = rows.record(engine, "plant-1")
    return sending(operator, f"{LIST}edit/?id={number}", form(revision="1", **TAKEN))


def copying(operator: Visitor, engine: Engine) -> Callable[[], str]:
    number = rows.record(engine, "source")
    return sending(operator, f"{NEW}?from={number}", form(**TAKEN))


def importing_in_the_browser(operator: Visitor, _engine: Engine) -> Callable[[], str]:
    content = json.dumps([{"name": "plant-1", **TAKEN}]).encode()
    page = operator.post(LIST + "import", {"file": (io.BytesIO(content), "c.json")}).text
    token = page.partition('name="token" value="')[2].partition('"')[0]
    return sending(operator, LIST + "import", {"token": token})


@pytest.mark.parametrize("way", [creating, editing, copying, importing_in_the_browser])
def test_two_records_never_get_one_client_id_on_one_broker(
    operator: Visitor, engine: Engine, way: Callable[[Visitor, Engine], Callable[[], str]]
) -> None:
    page = beside(engine, way(operator, engine))
    assert "“first” already uses client id one-id" in page
    assert one(engine, "select count(*) from connection where client_id = 'one-id'") == 1


def test_a_file_on_the_command_line_waits_too(engine: Engine, database_url: str) -> None:
    own = make_engine(database_url)

    def apply() -> list[str]:
        try:
            with store.writing(own) as transaction:
                importing.apply(transaction, [{"name": "plant-1", **TAKEN}], HOSTNAME)
        except RejectedError as error:
            return list(error.lines)
        finally:
            own.dispose()
        return []

    assert "already uses client id" in beside(engine, apply)[0]
    assert one(engine, "select count(*) from connection") == 1


def test_a_name_that_is_taken_at_the_same_moment_is_refused_at_its_field(
    operator: Visitor, engine: Engine
) -> None:
    page = beside(engine, creating(operator, engine), name="plant-1", client_id="other")
    assert "Another connection already has this name." in page
    assert one(engine, "select count(*) from connection") == 1


def test_the_sample_is_not_added_beside_a_first_record(
    app: Flask, engine: Engine, make_settings: Callable[..., WebSettings], home: Path
) -> None:
    (home / "password").write_text("p")
    sample = setup.Sample("127.0.0.1", 1883, "u", home / "password")

    def offer() -> None:
        with app.app_context():
            setup._offer_sample(make_settings(), sample, lambda _words: None)

    beside(engine, offer)
    assert one(engine, "select name from connection") == "first"


def test_switching_waits_for_an_edit_and_both_are_kept(operator: Visitor, engine: Engine) -> None:
    number = rows.record(engine, "plant-1")
    action = {"action": "disable", "rowid": number}
    beside(engine, sending(operator, LIST + "action/", action))
    assert one(engine, "select count(*) from connection where is_enabled") == 1
    assert one(engine, "select version from config_version") == 3
