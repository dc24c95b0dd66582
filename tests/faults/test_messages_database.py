"""Rows D1 and D3: a database that is locked, slow, frozen, or does not answer, under messages."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from database.words import ConnectionState as State
from tests.faults.conftest import Note
from tests.faults.figures import LONG
from tests.faults.messages import (
    MessageOracle,
    acknowledged,
    locked,
    numbered,
    numbers,
    publish,
    wait_for_acknowledged,
    wait_for_rows,
)
from tests.faults.stage import TOLD_WITHIN, Stage
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker

#: How long SQLite is locked, seconds; a lease lasts 5, a statement waits 4.
LOCKED_FOR = [1.0, 60.0 if LONG else 6.0]
#: The last two events of a connection whose messages had to wait.
TROUBLE = [
    (State.DEGRADED, "messages_not_stored"),
    (State.CONNECTED, "messages_stored_again"),
]


@pytest.fixture
def oracle(small_stage: Stage) -> Iterator[MessageOracle]:
    """The oracle on SQLite."""
    with MessageOracle(small_stage) as watching:
        yield watching


@pytest.mark.parametrize("seconds", LOCKED_FOR)
def test_d1_nothing_is_acknowledged_while_sqlite_is_locked_and_nothing_is_lost(
    oracle: MessageOracle, note: Note, seconds: float
) -> None:
    stage = oracle.stage
    with ScriptedBroker() as broker:
        mine = oracle.add(broker.port, "data/#")
        other = oracle.add(stage.mosquitto.port, "data/#", keepalive_s=2)
        mine.wait(State.CONNECTED)
        since = other.wait(State.CONNECTED)["connected_since"]
        session = broker.sessions[0]
        with oracle.database_away():
            with locked(stage):
                session.send(b"".join(numbered(range(300), 1)))
                session.send(b"".join(numbered(range(300, 400), 0)))
                publish(stage.mosquitto.port, numbered(range(200), 1, version=4), 1)
                time.sleep(seconds)
                assert acknowledged(session) == []
                assert numbers(mine) == []
            free_at = time.monotonic()
            wait_for_acknowledged(broker, session, range(300))
            wait_for_rows(other, 200)
            took = time.monotonic() - free_at
        note("D1", f"SQLite locked for {seconds:g} s: stored after", took, "s")
        assert numbers(mine) == list(range(400))
        assert numbers(other) == list(range(200))
        if seconds > TOLD_WITHIN:
            # Told once somebody can write it down again.
            told = lambda: all(each.events()[-2:] == TROUBLE for each in (mine, other))  # noqa: E731
            wait_until(told, TOLD_WITHIN, "the trouble")
        assert other.wait(State.CONNECTED)["connected_since"] == since
        note("D1", f"SQLite locked for {seconds:g} s: hub late by", oracle.most_lag_ms, "ms")
