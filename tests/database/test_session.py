"""Engines keep what was committed, give up in time, and keep values out of errors."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from database.session import immediate, make_engine, normalised_url

INSERT = text("INSERT INTO connection (name, site, host) VALUES (:name, 's', 'h')")


def scalar(engine: Engine, statement: str) -> object:
    with engine.connect() as transaction:
        return transaction.execute(text(statement)).scalar()


def test_sqlite_keeps_what_it_acknowledged(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    assert scalar(engine, "PRAGMA journal_mode") == "wal"
    assert scalar(engine, "PRAGMA synchronous") == 2  # FULL
    assert scalar(engine, "PRAGMA foreign_keys") == 1
    engine.dispose()


@pytest.mark.postgresql
def test_postgresql_gives_up_on_a_long_statement(postgresql_databases: object) -> None:
    with postgresql_databases.migrated() as url:  # type: ignore[attr-defined]
        # The same time must do for this process between two statements.
        engine = make_engine(url, statement_timeout_s=1.0)
        assert scalar(engine, "SHOW timezone") == "UTC"
        assert scalar(engine, "SHOW synchronous_commit") == "on"
        started = time.monotonic()
        with pytest.raises(OperationalError, match="statement timeout"):
            scalar(engine, "SELECT pg_sleep(10)")
        assert time.monotonic() - started < 5
        engine.dispose()


@pytest.mark.postgresql
def test_postgresql_takes_the_locks_of_a_transaction_that_does_nothing(
    postgresql_databases: object,
) -> None:
    lock = text("SELECT pg_advisory_xact_lock(1)")
    with postgresql_databases.migrated() as url:  # type: ignore[attr-defined]
        frozen, other = make_engine(url, statement_timeout_s=0.2), make_engine(url)
        idle = frozen.connect()
        driver: Any = idle.connection.driver_connection
        idle.execute(lock)
        # Fails by its own statement timeout if the lock is never given back.
        with other.begin() as waiting:
            waiting.execute(lock)
        with pytest.raises(DBAPIError, match="idle-in-transaction"):
            idle.execute(lock)
        idle.close()
        driver.close()
        frozen.dispose()
        other.dispose()


@pytest.mark.parametrize("url", ["postgresql://h/d", "postgresql+psycopg://h/d", "postgres+x://h"])
def test_postgresql_means_psycopg(url: str) -> None:
    if url.startswith("postgres+"):
        assert normalised_url(url).drivername == "postgres+x"
    else:
        assert normalised_url(url).drivername == "postgresql+psycopg"


def test_an_error_shows_no_value(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(INSERT, {"name": "canary-name"})
    with pytest.raises(IntegrityError) as caught, engine.begin() as transaction:
        transaction.execute(
            text("INSERT INTO connection (name, site, host, password) VALUES (:n, 's', 'h', :p)"),
            {"n": "canary-name", "p": "canary-password"},
        )
    assert "canary-password" not in str(caught.value)


def test_a_writer_waits_for_another(sqlite_url: str) -> None:
    first, second = make_engine(sqlite_url), make_engine(sqlite_url)
    waiting = threading.Event()

    def write() -> None:
        waiting.set()
        with immediate(second).begin() as transaction:
            transaction.execute(INSERT, {"name": "second"})

    thread = threading.Thread(target=write)
    with immediate(first).begin() as transaction:
        thread.start()
        assert waiting.wait(5)
        transaction.execute(INSERT, {"name": "first"})
    thread.join(10)
    assert scalar(first, "SELECT count(*) FROM connection") == 2
    first.dispose()
    second.dispose()


def test_a_writer_gives_up_when_the_lock_stays(sqlite_url: str) -> None:
    holder = make_engine(sqlite_url)
    impatient = make_engine(sqlite_url, statement_timeout_s=0.2)
    with immediate(holder).begin():
        started = time.monotonic()
        with pytest.raises(OperationalError, match="locked"), immediate(impatient).begin():
            pass
        assert time.monotonic() - started < 3
    holder.dispose()
    impatient.dispose()


def test_a_reader_does_not_wait_for_a_writer(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with immediate(engine).begin() as transaction:
        transaction.execute(INSERT, {"name": "unseen"})
        assert scalar(engine, "SELECT count(*) FROM connection") == 0
    engine.dispose()


def test_a_read_that_turns_into_a_write_does_not_fail_when_it_locks_first(sqlite_url: str) -> None:
    engine = make_engine(sqlite_url)
    with immediate(engine).begin() as transaction:
        count = transaction.execute(text("SELECT count(*) FROM connection")).scalar_one()
        transaction.execute(INSERT, {"name": f"number {count}"})
    assert scalar(engine, "SELECT name FROM connection") == "number 0"
    engine.dispose()


def test_the_durability_settings_are_ours_and_not_the_drivers(tmp_path: Path) -> None:
    plain = create_engine(f"sqlite:///{tmp_path / 'plain.db'}")
    assert scalar(plain, "PRAGMA journal_mode") != "wal"
    plain.dispose()


def test_a_rolled_back_transaction_leaves_nothing(engine: Engine) -> None:
    with engine.connect() as transaction:
        transaction.execute(INSERT, {"name": "a"})
        transaction.rollback()
    assert scalar(engine, "SELECT count(*) FROM connection") == 0


def test_a_subscription_needs_its_connection(engine: Engine) -> None:
    with pytest.raises(DBAPIError), engine.begin() as transaction:
        transaction.execute(
            text("INSERT INTO subscription (connection_id, topic_filter) VALUES (99, 'a')")
        )
