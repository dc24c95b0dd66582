"""A table that somebody holds must not keep the worker from renewing its lease."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from database.words import ConnectionState
from mqttworker.core.cause import cause
from mqttworker.core.traffic import Counts, stretches
from mqttworker.ports.accounts import Account, Page
from mqttworker.ports.journal import Transition
from mqttworker.ports.store.facts import Facts
from mqttworker.ports.store.presence import Presence
from mqttworker.ports.store.retention_tally import Tally
from mqttworker.ports.store.traffic import TrafficStore
from tests.support.process import wait_until
from tests.worker.service.kept import BOOT, hold_lease

# SQLite has one lock for everything.
pytestmark = pytest.mark.parametrize("databases", ["postgresql"], indirect=True)

NOW = datetime.now(UTC)


def _count(engine: Engine) -> None:
    account = Account(7)
    account.count(stretches(NOW), Counts(messages_in=1))
    TrafficStore(engine, BOOT).write(Page([account]))


def _note(engine: Engine) -> None:
    state = ConnectionState.PENDING
    Facts(engine, BOOT).write([], [Transition(7, NOW, state, None, cause("enabled"))])


def _tell_what_is_kept(engine: Engine) -> None:
    Tally(engine, BOOT).write()


@pytest.mark.parametrize(
    ("table", "write"),
    [
        ("connection_traffic", _count),
        ("connection_event", _note),
        ("message_totals", _tell_what_is_kept),
    ],
)
def test_the_lease_is_renewed_while_a_write_waits_for_its_table(
    engine: Engine, table: str, write: Callable[[Engine], None]
) -> None:
    hold_lease(engine)
    writing = threading.Thread(target=write, args=(engine,))
    renewing = threading.Thread(target=Presence(engine, BOOT).hold_lease, args=(5.0, 6.0, None))
    with engine.begin() as other:
        other.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        writing.start()
        _wait_until_it_waits(engine)
        renewing.start()
        renewing.join(2.0)
        is_renewed = not renewing.is_alive()
    writing.join()
    renewing.join()
    assert is_renewed


def _wait_until_it_waits(engine: Engine) -> None:
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def waits() -> bool:
        with engine.connect() as transaction:
            return bool(transaction.scalar(waiting))

    wait_until(waits, 5.0, "a wait for a lock")
