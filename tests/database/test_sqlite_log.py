"""The log of an SQLite file: what it holds is kept, and goes into no other file."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import OperationalError

from database import sqlite_guard
from database.session import immediate
from tests.support.sqlite_files import CHANGE, VERSION, change, engine_at, read

LOG, INDEX = "hawser.db-wal", "hawser.db-shm"


def _nothing(_directory: Path) -> None:
    """Leave the log as it is."""


def _without_index(directory: Path) -> None:
    (directory / INDEX).unlink()


@pytest.mark.parametrize("harm", [_nothing, _without_index])
def test_the_log_of_a_file_that_was_replaced_is_not_played_into_the_new_one(
    file: Path, harm: Callable[[Path], None]
) -> None:
    with engine_at(file) as engine, engine_at(file) as other:
        before = read(other)
        # The second time as the first.
        for number in (1, 2):
            copy = shutil.copyfile(file, file.with_name(f"{number}.db"))
            change(engine)
            copy.rename(file)
            harm(file.parent)
            for each in (engine, other):
                with pytest.raises(OperationalError, match="replaced"):
                    read(each)
                assert read(each) == before


def test_the_log_of_a_file_that_was_missing_first_is_not_played_into_the_new_one(
    file: Path,
) -> None:
    with engine_at(file) as engine:
        copy = shutil.copyfile(file, file.with_name("copy.db"))
        before = read(engine)
        change(engine)
        file.unlink()
        with pytest.raises(OperationalError, match="missing"):
            read(engine)
        copy.rename(file)
        assert read(engine) == before


@pytest.mark.parametrize("is_missing_first", [False, True])
def test_a_file_that_comes_with_a_log_of_its_own_keeps_it(
    file: Path, *, is_missing_first: bool
) -> None:
    there = shutil.copyfile(file, file.with_name("there.db"))
    with engine_at(there) as elsewhere, engine_at(file) as engine:
        for _ in range(3):
            change(elsewhere)
        expected = read(elsewhere)
        change(engine)
        if is_missing_first:
            file.unlink()
            with pytest.raises(OperationalError, match="missing"):
                read(engine)
        file.with_name(INDEX).unlink()
        # A log that was not written into its file, as a snapshot of a running machine has it.
        log = shutil.copyfile(f"{there}-wal", file.with_name("copy-wal"))
        shutil.copyfile(there, file.with_name("copy.db")).rename(file)
        log.rename(file.with_name(LOG))
        if not is_missing_first:
            with pytest.raises(OperationalError, match="replaced"):
                read(engine)
        assert read(engine) == expected


def test_a_log_that_cannot_be_set_aside_is_told_until_it_can(file: Path) -> None:
    in_the_way = file.with_name(f"{LOG}.replaced")
    with engine_at(file) as engine:
        copy = shutil.copyfile(file, file.with_name("copy.db"))
        before = read(engine)
        change(engine)
        copy.rename(file)
        in_the_way.mkdir()
        for words in ("replaced while", "cannot be set aside", "cannot be set aside"):
            with pytest.raises(OperationalError, match=words):
                read(engine)
        in_the_way.rmdir()
        assert read(engine) == before


def test_another_file_is_gone_on_with_whatever_holds_the_one_before(file: Path) -> None:
    with engine_at(file) as engine:
        copy = shutil.copyfile(file, file.with_name("copy.db"))
        before = read(engine)
        change(engine)
        with another_process(file, "BEGIN IMMEDIATE"):
            wait_for_nobody(engine)
            copy.rename(file)
            with pytest.raises(OperationalError, match="replaced"):
                read(engine)
            assert read(engine) == before


@contextmanager
def another_process(file: Path, begin: str) -> Iterator[None]:
    """Let another process hold the file and its log open, in a transaction that it begins so."""
    command = [sys.executable, "-c", _HOLDER, str(file), begin]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline()
        yield
        holder.stdin.close()


_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("SELECT version FROM config_version").fetchone()
print("held", flush=True)
sys.stdin.read()
connection.execute("COMMIT")
connection.execute("PRAGMA wal_checkpoint(FULL)")
"""


def wait_for_nobody(engine: Engine) -> None:
    """Let the connection in the pool give up at once where another one holds a lock."""
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 0")


@pytest.mark.parametrize("lost", [LOG, INDEX])
def test_what_a_removed_log_held_is_saved(file: Path, lost: str) -> None:
    with engine_at(file) as engine:
        change(engine)
        before = read(engine)
        with another_process(file, "BEGIN"):
            file.with_name(lost).unlink()
            with pytest.raises(OperationalError, match="log of the SQLite file"):
                read(engine)
            assert read(engine) == before
            change(engine)
            assert read_after_a_crash(file) == before + 1
        assert read(engine) == before + 1


def read_after_a_crash(file: Path) -> int:
    """Return what is in the files as they lie there."""
    with TemporaryDirectory() as place:
        # Not by this process: whoever closes a file lets go of all locks on it.
        subprocess.run(["cp", file, file.with_name(LOG), place], check=True)
        with engine_at(Path(place) / file.name) as engine:
            return read(engine)


def test_an_index_that_another_process_has_made_anew_is_left_to_it(file: Path) -> None:
    index = file.with_name(INDEX)
    with engine_at(file) as engine:
        change(engine)
        before = read(engine)
        index.unlink()
        with another_process(file, "BEGIN"):
            made = index.stat().st_ino
            with pytest.raises(OperationalError, match="log of the SQLite file"):
                read(engine)
            assert read(engine) == before
            assert index.stat().st_ino == made


def test_a_removed_log_is_not_given_up_before_it_is_saved(file: Path) -> None:
    with engine_at(file) as engine:
        change(engine)
        before = read(engine)
        with another_process(file, "BEGIN IMMEDIATE"):
            wait_for_nobody(engine)
            file.with_name(LOG).unlink()
            for _ in range(3):
                with pytest.raises(OperationalError, match="log of the SQLite file"):
                    read(engine)
            assert not file.with_name(LOG).exists()
        with pytest.raises(OperationalError, match="log of the SQLite file"):
            read(engine)
        change(engine)
        assert read(engine) == before + 1


@pytest.mark.parametrize("is_writing", [False, True])
def test_no_other_log_is_begun_while_this_process_has_one_open(
    file: Path, *, is_writing: bool
) -> None:
    with engine_at(file) as engine:
        change(engine)
        before = read(engine)
        with (immediate(engine) if is_writing else engine).connect() as held:
            held.execute(VERSION)
            wait_for_nobody(engine)
            file.with_name(LOG).unlink()
            for _ in range(3):
                with pytest.raises(OperationalError, match="log of the SQLite file"):
                    read(engine)
            assert not file.with_name(LOG).exists()
            if is_writing:
                held.execute(CHANGE)
            held.commit()
            with pytest.raises(OperationalError, match="log of the SQLite file"):
                sqlite_guard.require_same_file(held)
        if is_writing:
            with pytest.raises(OperationalError, match="log of the SQLite file"):
                read(engine)
        change(engine)
        assert read(engine) == before + 1 + is_writing
