"""Row D4: the disk of the database is full."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text

from bench.postgresql import SERVER_USER
from database.words import ConnectionState as State
from tests.faults.conftest import Note
from tests.faults.messages import (
    MessageOracle,
    acknowledged,
    numbered,
    numbers,
    publish,
    wait_for_acknowledged,
    wait_for_rows,
)
from tests.faults.stage import Stage
from tests.support import packets
from tests.support.disk import SmallDisk
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker

#: Seconds without a byte of room.
FULL_FOR = 3.0
MESSAGES = range(1_000)
#: A disk for the tables of PostgreSQL, bytes: empty, they take some pages each.
TABLES_SIZE = 8 << 20


@pytest.fixture
def oracle(small_stage: Stage) -> Iterator[MessageOracle]:
    """The oracle where the disk is small."""
    with MessageOracle(small_stage) as watching:
        yield watching


def test_d4_a_full_disk_stops_acknowledgements_and_nothing_else(
    oracle: MessageOracle, small_disk: SmallDisk, note: Note
) -> None:
    stage = oracle.stage
    with ScriptedBroker() as broker:
        mine = oracle.add(broker.port, "data/#")
        other = oracle.add(stage.mosquitto.port, "data/#", keepalive_s=2)
        mine.wait(State.CONNECTED)
        since = other.wait(State.CONNECTED)["connected_since"]
        session, said_before = broker.sessions[0], len(stage.log())
        with oracle.database_away():
            wait_until(lambda: _log_is_empty(stage), 5.0, "an empty write-ahead log")
            small_disk.fill()
            session.send(b"".join(numbered(MESSAGES, 1)))
            publish(stage.mosquitto.port, numbered(MESSAGES, 1, packets.V311), 1)
            stage.wait_for(lambda: "disk is full" in stage.log()[said_before:], 5.0, "the reason")
            time.sleep(FULL_FOR)
            assert set(acknowledged(session)) <= set(numbers(mine))
            assert len(numbers(mine)) < len(MESSAGES)
            small_disk.free()
            free_at = time.monotonic()
            wait_for_acknowledged(broker, session, MESSAGES)
            note("D4", "room again: all stored after", time.monotonic() - free_at, "s")
        wait_for_rows(other, len(MESSAGES))
        for each in (mine, other):
            assert numbers(each) == list(MESSAGES)
        assert other.wait(State.CONNECTED)["connected_since"] == since
    with stage.engine.connect() as transaction:
        assert transaction.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"


def _log_is_empty(stage: Stage) -> bool:
    """Cut the write-ahead log: what an earlier test left of it may have room for all of ours."""
    with stage.engine.connect() as transaction:
        busy, *_ = transaction.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return not busy


@pytest.mark.usefixtures("can_mount")
def test_d4_a_full_disk_of_postgresql_stops_acknowledgements_and_nothing_else(
    postgresql_stage: Stage,
) -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        SmallDisk(_for_everybody(directory), TABLES_SIZE, SERVER_USER) as disk,
        _moved_to(postgresql_stage, disk),
        MessageOracle(postgresql_stage) as oracle,
        ScriptedBroker() as broker,
    ):
        subject = oracle.add(broker.port, "data/#")
        subject.wait(State.CONNECTED)
        session = broker.sessions[0]
        disk.fill()
        try:
            session.send(b"".join(numbered(MESSAGES, 1)))
            # Only the messages are on that disk, so that all else is told as ever.
            subject.wait(State.DEGRADED, "messages_not_stored")
            assert "No space left on device" in subject.told()["reason"]
            assert acknowledged(session) == []
        finally:
            disk.free()
        wait_for_acknowledged(broker, session, MESSAGES)
        assert numbers(subject) == list(MESSAGES)
        subject.wait(State.CONNECTED, "messages_stored_again")


def _for_everybody(directory: str) -> Path:
    """Return where to mount a disk that other users find."""
    Path(directory).chmod(0o755)
    return Path(directory) / "disk"


@contextmanager
def _moved_to(stage: Stage, disk: SmallDisk) -> Iterator[None]:
    """Have the messages of PostgreSQL lie on `disk`."""
    engine = stage.engine.execution_options(isolation_level="AUTOCOMMIT")
    leaves = "SELECT relid::regclass::text FROM pg_partition_tree('message') WHERE isleaf"

    def move(place: str) -> None:
        with engine.connect() as connection:
            for (name,) in connection.execute(text(leaves)).all():
                connection.execute(text(f"ALTER TABLE {name} SET TABLESPACE {place}"))

    with engine.connect() as connection:
        connection.execute(text(f"CREATE TABLESPACE small LOCATION '{disk.path}'"))
    move("small")
    try:
        yield
    finally:
        move("pg_default")
        with engine.connect() as connection:
            connection.execute(text("DROP TABLESPACE small"))
