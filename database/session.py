"""Engines as both processes need them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, create_engine, event, make_url
from sqlalchemy.engine import URL

from database import sqlite_guard

#: How long a statement waits for SQLite's write lock, seconds.
SQLITE_BUSY_TIMEOUT = 5.0
#: How long PostgreSQL may take to accept a connection, seconds.
POSTGRESQL_CONNECT_TIMEOUT = 5
#: How long PostgreSQL's machine may leave what we send without a sign of receipt, seconds.
POSTGRESQL_SILENCE = 15


def normalised_url(url: str) -> URL:
    """Return `url` with psycopg 3 named as the driver where PostgreSQL is meant."""
    parsed = make_url(url)
    # Some providers hand out the scheme that libpq takes too.
    if parsed.get_backend_name() == "postgresql" or parsed.drivername == "postgres":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def engine_options(url: str, *, pool_size: int, statement_timeout_s: float) -> dict[str, Any]:
    """Return the keyword arguments for `create_engine`, the same for worker and web.

    `hide_parameters` keeps secrets out of error messages. PostgreSQL also ends a transaction
    that does nothing for as long: a process that is frozen in one, on a machine that is
    paused, would keep its locks for ever, and no other worker could take the lease.
    """
    options: dict[str, Any] = {"hide_parameters": True, "pool_size": pool_size}
    if normalised_url(url).get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": min(SQLITE_BUSY_TIMEOUT, statement_timeout_s)}
        return options
    options["pool_pre_ping"] = True
    options["pool_recycle"] = 1800
    timeout = int(statement_timeout_s * 1000)
    settings = {
        "statement_timeout": timeout,
        "idle_in_transaction_session_timeout": timeout,
        "timezone": "UTC",
        # To compile a plan takes longer than any statement of ours.
        "jit": "off",
    }
    options["connect_args"] = {
        "connect_timeout": POSTGRESQL_CONNECT_TIMEOUT,
        # A server that is gone without a word is noticed; otherwise a statement waits for
        # it until the kernel gives up, a quarter of an hour.
        "tcp_user_timeout": POSTGRESQL_SILENCE * 1000,
        "keepalives_idle": POSTGRESQL_SILENCE // 3,
        "keepalives_interval": POSTGRESQL_SILENCE // 3,
        "keepalives_count": 2,
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
    }
    return options


def make_engine(url: str, *, pool_size: int = 5, statement_timeout_s: float = 10.0) -> Engine:
    """Return an engine with the durability settings of `apply_durability`."""
    engine = create_engine(
        normalised_url(url),
        **engine_options(url, pool_size=pool_size, statement_timeout_s=statement_timeout_s),
    )
    apply_durability(engine)
    return engine


def apply_durability(engine: Engine) -> None:
    """Make SQLite keep what it acknowledged: WAL, synchronous=FULL, foreign keys, the file.

    Write transactions start with BEGIN IMMEDIATE when the connection's execution
    option `sqlite_begin` says so (see `immediate`).
    """
    if engine.dialect.name != "sqlite":
        return
    event.listen(engine, "connect", _sqlite_pragmas)
    event.listen(engine, "begin", _sqlite_begin)
    sqlite_guard.watch(engine)


def immediate(engine: Engine) -> Engine:
    """Return a view of `engine` whose transactions take SQLite's write lock at once.

    A read that turns into a write can fail at the upgrade; taking the lock first waits.
    """
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def _sqlite_pragmas(dbapi_connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself; _sqlite_begin does.
    dbapi_connection.isolation_level = None
    cursor = dbapi_connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _sqlite_begin(connection: Any) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))
