"""Each event is written once, whatever happens on the way."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path

import gevent
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.engine import make_url

from database.models import ConnectionEvent, ConnectionStatus
from database.session import make_engine
from database.words import ConnectionState as State
from mqttworker.core.cause import cause
from mqttworker.core.spec import Record
from mqttworker.core.traffic import Counts, stretches
from mqttworker.ports.accounts import Account, Page
from mqttworker.ports.journal import Status, Transition
from mqttworker.ports.store import Facts, TrafficStore
from mqttworker.service import journal as journal_module
from mqttworker.service.journal import Journal
from tests.support.process import wait_until
from tests.worker.service.kept import BOOT, hold_lease

NOW = datetime.now(UTC)
#: A COMMIT takes a second, and the answer to it comes to nobody who waited for less.
SLOW_COMMIT = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
CREATE CONSTRAINT TRIGGER slow AFTER INSERT OR UPDATE ON {} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION slow();
"""


class Connection:
    """Whose state is written down."""

    record = Record(7, "plant", 1)

    def status(self) -> Status:
        return Status(7, State.BACKOFF, cause("tcp_refused"), NOW)


def event(number: int) -> Transition:
    return Transition(7, NOW.replace(microsecond=number), State.BACKOFF, None, cause("tcp_refused"))


def written(engine: Engine) -> list[int]:
    with engine.connect() as transaction:
        rows = transaction.scalars(select(ConnectionEvent.at).order_by(ConnectionEvent.id))
        return [at.microsecond for at in rows]


def test_what_is_not_written_yet_is_not_dropped_with_what_is(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "MAX_WAITING_EVENTS", 10)
    engine = make_engine(sqlite_url)
    hold_lease(engine)
    journal = Journal(Facts(engine, BOOT), lambda: None)
    for number in range(10):
        journal.note(Connection(), event(number))
    path = Path(make_url(sqlite_url).database or "")
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        flushing = gevent.spawn(journal.flush)
        gevent.sleep(0.2)
        # As many as may wait, while the others are on their way.
        for number in range(10, 20):
            journal.note(Connection(), event(number))
        other.execute("ROLLBACK")
    other.close()
    assert flushing.get(timeout=10)
    assert journal.flush()
    assert written(engine) == list(range(20))
    engine.dispose()


def test_events_of_a_commit_whose_answer_was_lost_are_written_once(engine: Engine) -> None:
    hold_lease(engine)
    facts = Facts(engine, BOOT)
    for batch, first in ((1, 0), (1, 0), (2, 2)):
        status = Status(7, State.BACKOFF, cause("tcp_refused"), NOW, attempt=first + batch)
        facts.write([status], [event(first), event(first + 1)], batch)
    assert written(engine) == [0, 1, 2, 3]
    with engine.connect() as transaction:
        # A state that changed meanwhile is written all the same.
        assert transaction.scalar(select(ConnectionStatus.attempt)) == 4


@pytest.mark.postgresql
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
@pytest.mark.parametrize("table", ["connection_event", "connection_traffic"])
def test_what_is_tried_again_while_its_commit_goes_on_is_written_once(
    engine: Engine, table: str
) -> None:
    hold_lease(engine)
    with engine.begin() as transaction:
        transaction.execute(text(SLOW_COMMIT.format(table)))
    facts, traffic = Facts(engine, BOOT), TrafficStore(engine, BOOT)
    account = Account(7)
    account.count(stretches(NOW)[:1], Counts(messages_in=3))
    page = Page([account])

    def write() -> None:
        if table == "connection_event":
            facts.write([], [event(0)], 1)
        else:
            traffic.write(page)

    first = threading.Thread(target=write)
    first.start()
    wait_until(lambda: _commits(engine), 5.0, "a COMMIT that goes on")
    write()
    first.join()
    if table == "connection_event":
        assert written(engine) == [0]
    else:
        with engine.connect() as transaction:
            sum_ = transaction.scalar(text("SELECT sum(messages_in) FROM connection_traffic"))
        assert sum_ == 3


def _commits(engine: Engine) -> bool:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'active'"
    )
    with engine.connect() as transaction:
        return bool(transaction.scalar(query))
