"""Row D5: SQLite files that are no good, or become so while messages come."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text

from bench import payloads
from database.models import Message
from database.session import make_engine
from database.words import ConnectionState as State
from database.words import WorkerState
from tests.faults.conftest import worker_environment
from tests.faults.messages import (
    MessageOracle,
    acknowledged,
    numbered,
    numbers,
    wait_for_acknowledged,
)
from tests.faults.stage import TOLD_WITHIN, Stage
from tests.support.databases import Databases, sqlite_url, upgrade
from tests.support.disk import SmallDisk, frozen
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.service.worker import WorkerProcess, add, status

MESSAGES = range(1_000)


@pytest.fixture
def oracle(small_stage: Stage) -> Iterator[MessageOracle]:
    """The oracle where the disk is small."""
    with MessageOracle(small_stage) as watching:
        yield watching


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


@pytest.fixture
def lasting() -> Iterator[Path]:
    """A directory whose files can be frozen: not one in memory."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        probe = Path(name) / "probe"
        probe.touch()
        try:
            with frozen(probe):
                pass
        except OSError as error:
            pytest.skip(f"no file can be frozen here ({error})")
        yield Path(name)


def test_d5_messages_wait_while_nobody_may_write_to_the_file(lasting: Path) -> None:
    file = lasting / "hawser.db"
    upgrade(sqlite_url(file))
    with ExitStack() as running, ScriptedBroker() as broker:
        worker = _worker(running, file, lasting / "home")
        engine = make_engine(sqlite_url(file))
        running.callback(engine.dispose)
        add(engine, "frozen", broker.port, "data/#")
        worker.wait_for_states({"frozen": State.CONNECTED})
        session = broker.sessions[0]
        with frozen(file, lasting / "hawser.db-wal"):
            session.send(b"".join(numbered(MESSAGES, 1)))
            worker.child.wait_for_output("messages cannot be stored", TOLD_WITHIN)
            assert session.acknowledged == []
        wait_for_acknowledged(broker, session, MESSAGES)
        with engine.connect() as transaction:
            found = transaction.scalars(select(Message.payload).order_by(Message.id)).all()
        assert [payloads.number_of(each) for each in found] == list(MESSAGES)
        assert session.closed_at is None


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
