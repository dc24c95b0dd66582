"""Rows D4 and D5: SQLite on a disk that is full or takes no writes, and files that are no good."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from bench.postgresql import SERVER_USER
from database.session import make_engine
from database.words import ConnectionState as State
from database.words import WorkerState
from tests.faults.conftest import Note, worker_environment
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
from tests.support.databases import Databases, sqlite_url, upgrade
from tests.support.disk import SmallDisk
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.service.worker import WorkerProcess, add, status

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


def test_d5_messages_wait_for_a_table_that_is_missing(oracle: MessageOracle) -> None:
    with ScriptedBroker() as broker:
        subject = oracle.add(broker.port, "data/#")
        subject.wait(State.CONNECTED)
        session = broker.sessions[0]
        _rename(oracle.stage, "message", "lost")
        try:
            session.send(b"".join(numbered(MESSAGES, 1)))
            subject.wait(State.DEGRADED, "messages_not_stored")
            assert "no such table" in subject.told()["reason"]
            assert acknowledged(session) == []
        finally:
            _rename(oracle.stage, "lost", "message")
        wait_for_acknowledged(broker, session, MESSAGES)
        assert numbers(subject) == list(MESSAGES)
        subject.wait(State.CONNECTED, "messages_stored_again")


def _rename(stage: Stage, name: str, new: str) -> None:
    with stage.engine.begin() as transaction:
        transaction.execute(text(f"ALTER TABLE {name} RENAME TO {new}"))


# --- files that are no good when the worker starts


def _worker(running: ExitStack, file: Path, home: Path) -> WorkerProcess:
    """Start a worker on a database file."""
    home.mkdir()
    url = sqlite_url(file)
    engine = make_engine(url)
    running.callback(engine.dispose)
    made = WorkerProcess(home, worker_environment(home, url), engine)
    return running.enter_context(made)


@pytest.mark.usefixtures("can_mount")
def test_d5_a_file_that_is_no_good_is_waited_for_in_words_and_left_as_it_is(
    tmp_path: Path, sqlite_databases: Databases
) -> None:
    with ExitStack() as running, sqlite_databases.migrated() as url:
        disk = running.enter_context(SmallDisk(tmp_path / "disk", 1 << 22))
        protected, foreign, old = disk.path / "a.db", tmp_path / "b.db", tmp_path / "c.db"
        shutil.copyfile(make_url(url).database or "", protected)
        disk.protect()
        foreign.write_bytes(os.urandom(8_192))
        before = foreign.read_bytes()
        upgrade(sqlite_url(old), "0003")
        said = {
            protected: "unable to open database file",
            foreign: "file is not a database",
            old: "at 0003",
        }
        workers = {file: _worker(running, file, tmp_path / f"home-{file.stem}") for file in said}
        for file, words in said.items():
            workers[file].child.wait_for_output(words, 20.0)
        disk.open_up()
        upgrade(sqlite_url(old))
        for file in (protected, old):
            workers[file].wait_until_worker(WorkerState.RUNNING)
        assert foreign.read_bytes() == before
        assert workers[foreign].child.running


def test_d5_nothing_is_acknowledged_that_a_spoilt_page_does_not_take(
    tmp_path: Path, sqlite_databases: Databases
) -> None:
    with ExitStack() as running, sqlite_databases.migrated() as url, ScriptedBroker() as broker:
        file = Path(make_url(url).database or "")
        _spoil(file, "ix_message_topic_id")
        worker = _worker(running, file, tmp_path / "home")
        engine = make_engine(url)
        running.callback(engine.dispose)
        add(engine, "spoilt", broker.port, "data/#")
        worker.wait_for_states({"spoilt": State.CONNECTED})
        session, spoilt = broker.sessions[0], file.stat().st_size
        session.send(b"".join(numbered(MESSAGES, 1)))
        worker.wait_for_states({"spoilt": State.DEGRADED})
        assert "malformed" in status(engine, "spoilt").detail["problem"]
        assert session.acknowledged == []
        assert session.closed_at is None
        assert file.stat().st_size >= spoilt


def _spoil(file: Path, name: str) -> None:
    """Overwrite the first page of a table or an index."""
    with closing(sqlite3.connect(file)) as connection:
        query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = connection.execute(query, (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(os.urandom(size))
