"""Rows D3 and D5: PostgreSQL is slow, frozen, takes no writes, or does not say that it has."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy import func, make_url, select

from database.models import WorkerLease
from database.words import ConnectionState as State
from mqttworker.service.lease import LEASE_TTL
from tests.faults.conftest import Note
from tests.faults.figures import LONG
from tests.faults.messages import (
    MessageOracle,
    acknowledged,
    numbered,
    numbers,
    wait_for_acknowledged,
)
from tests.faults.stage import Stage, Subject
from tests.support.fault_proxy import FaultProxy
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker

#: How long a fault lasts after it was told, seconds: then a statement has taken the 4 that it may.
MORE = 60.0 if LONG else 1.2
#: How long each round trip takes two seconds.
SLOW_FOR = 60.0 if LONG else 3.0
MESSAGES = range(300)


@pytest.fixture
def oracle(postgresql_stage: Stage) -> Iterator[MessageOracle]:
    """The oracle on PostgreSQL."""
    with MessageOracle(postgresql_stage) as watching:
        yield watching


@pytest.fixture
def broker() -> Iterator[ScriptedBroker]:
    """Who sends."""
    with ScriptedBroker() as made:
        yield made


@pytest.fixture
def subject(oracle: MessageOracle, broker: ScriptedBroker) -> Subject:
    """The connection whose messages meet the fault."""
    made = oracle.add(broker.port, "data/#")
    made.wait(State.CONNECTED)
    return made


@contextmanager
def by_hand(stage: Stage) -> Iterator[psycopg.Connection]:
    """A session of somebody else at the same database."""
    url = make_url(stage.engine.url).set(drivername="postgresql")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as made:
        yield made


def send(broker: ScriptedBroker) -> None:
    """Send all messages at QoS 1."""
    broker.sessions[0].send(b"".join(numbered(MESSAGES, 1)))


def check_all_is_stored_once(broker: ScriptedBroker, subject: Subject) -> None:
    """Wait for the acknowledgements and look at the rows, and that no session was lost."""
    wait_for_acknowledged(broker, broker.sessions[0], MESSAGES)
    assert numbers(subject) == list(MESSAGES)
    subject.wait(State.CONNECTED)
    assert len(broker.sessions) == 1


def test_d3_a_locked_table_holds_up_messages_and_nothing_else(
    oracle: MessageOracle, broker: ScriptedBroker, subject: Subject, note: Note
) -> None:
    with by_hand(oracle.stage) as other, other.transaction():
        other.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
        send(broker)
        # All the while the heartbeat goes on, says the oracle.
        told = subject.seconds_until(State.DEGRADED, "messages_not_stored", 6.0)
        note("D3", "table locked: told after", told, "s")
        # A lease that runs out would hand all connections to the next worker.
        assert _lease_left(oracle.stage) > LEASE_TTL - 2.0
        time.sleep(MORE)
        assert acknowledged(broker.sessions[0]) == []
    check_all_is_stored_once(broker, subject)
    note("D3", "table locked: oldest heartbeat", oracle.oldest_beat_s, "s")


def _lease_left(stage: Stage) -> float:
    """Return for how much longer the worker holds its lease, seconds."""
    left = func.extract("epoch", WorkerLease.expires_at - func.clock_timestamp())
    with stage.engine.connect() as transaction:
        return float(transaction.scalar(select(left)) or 0.0)


def test_d3_round_trips_of_two_seconds_lose_nothing(
    oracle: MessageOracle,
    broker: ScriptedBroker,
    subject: Subject,
    postgresql_proxy: FaultProxy,
) -> None:
    with oracle.database_away():
        postgresql_proxy.latency = 1.0
        send(broker)
        time.sleep(SLOW_FOR)
        stored = set(numbers(subject))
        assert stored >= set(acknowledged(broker.sessions[0]))
        postgresql_proxy.latency = 0.0
    check_all_is_stored_once(broker, subject)


def test_d3_a_frozen_backend_stores_the_batch_once_when_it_goes_on(
    oracle: MessageOracle, broker: ScriptedBroker, subject: Subject
) -> None:
    with by_hand(oracle.stage) as other, by_hand(oracle.stage) as watcher:
        with other.transaction():
            other.execute("LOCK TABLE message IN ACCESS EXCLUSIVE MODE")
            send(broker)
            pid = _waiting_backend(watcher)
            os.kill(pid, signal.SIGSTOP)
        try:
            subject.wait(State.DEGRADED, "messages_not_stored")
            time.sleep(MORE)
            assert acknowledged(broker.sessions[0]) == []
        finally:
            os.kill(pid, signal.SIGCONT)
    check_all_is_stored_once(broker, subject)


def _waiting_backend(watcher: psycopg.Connection) -> int:
    """Return the process of PostgreSQL that waits for the table."""
    query = (
        "SELECT pid FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE 'COPY message%'"
    )
    found: list[tuple[int]] = []

    def waits() -> bool:
        found[:] = watcher.execute(query).fetchall()
        return bool(found)

    wait_until(waits, 5.0, "a COPY that waits")
    return found[0][0]


def test_d3_a_commit_whose_answer_is_lost_stores_the_batch_once(
    oracle: MessageOracle,
    broker: ScriptedBroker,
    subject: Subject,
    postgresql_proxy: FaultProxy,
) -> None:
    postgresql_proxy.ends_after = (b"COPY message", b"COMMIT")
    send(broker)
    check_all_is_stored_once(broker, subject)
    assert not postgresql_proxy.ends_after, "no connection was cut"


def test_d5_a_database_that_takes_no_writes_gets_them_later(
    oracle: MessageOracle, broker: ScriptedBroker, subject: Subject
) -> None:
    with oracle.database_away(), by_hand(oracle.stage) as other:
        _default(other, "on")
        send(broker)
        wait_until(lambda: "read-only transaction" in oracle.stage.log(), 5.0, "the reason")
        assert acknowledged(broker.sessions[0]) == []
        _default(other, "off")
    check_all_is_stored_once(broker, subject)


def _default(other: psycopg.Connection, value: str) -> None:
    other.execute("SET default_transaction_read_only = off")
    other.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}".encode())
    other.execute("SELECT pg_reload_conf()")
