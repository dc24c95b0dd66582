"""Engines as both processes need them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import URL

from database import postgresql_session, sqlite_guard

#: How long a statement waits for SQLite's write lock, seconds.
SQLITE_BUSY_TIMEOUT = 5.0
#: How long each address of PostgreSQL may take to accept a connection, seconds.
POSTGRESQL_CONNECT_TIMEOUT = 4
#: How long PostgreSQL's machine may leave what we send without a sign of receipt, seconds.
POSTGRESQL_SILENCE = 15
#: What psycopg gets beside the URL.
POSTGRESQL_CONNECT_ARGUMENTS = {
    "client_encoding": "UTF8",
    "connect_timeout": POSTGRESQL_CONNECT_TIMEOUT,
    # A server that is gone without a word is noticed; otherwise a statement waits for it
    # until the kernel gives up, a quarter of an hour.
    "tcp_user_timeout": POSTGRESQL_SILENCE * 1000,
    "keepalives_idle": POSTGRESQL_SILENCE // 3,
    "keepalives_interval": POSTGRESQL_SILENCE // 3,
    "keepalives_count": 2,
}


def normalised_url(url: str) -> URL:
    """Return `url` with psycopg 3 named as the driver where PostgreSQL is meant."""
    parsed = make_url(url)
    # Some providers hand out the scheme that libpq takes too.
    if parsed.get_backend_name() == "postgresql" or parsed.drivername == "postgres":
        return parsed.set(drivername="postgresql+psycopg")
    return parsed


def engine_options(url: str, *, pool_size: int, statement_timeout_s: float) -> dict[str, Any]:
    """Return the keyword arguments for `create_engine`, the same for worker and web.

    `hide_parameters` keeps secrets out of error messages. The engine also needs
    `configure_sessions`.
    """
    options: dict[str, Any] = {"hide_parameters": True, "pool_size": pool_size}
    if normalised_url(url).get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": min(SQLITE_BUSY_TIMEOUT, statement_timeout_s)}
        return options
    options["pool_pre_ping"] = True
    options["pool_recycle"] = 1800
    options["connect_args"] = dict(POSTGRESQL_CONNECT_ARGUMENTS)
    return options


def make_engine(url: str, *, pool_size: int = 5, statement_timeout_s: float = 10.0) -> Engine:
    """Return an engine whose sessions are as `configure_sessions` makes them."""
    engine = create_engine(
        normalised_url(url),
        **engine_options(url, pool_size=pool_size, statement_timeout_s=statement_timeout_s),
    )
    configure_sessions(engine, statement_timeout_s)
    return engine


def configure_sessions(engine: Engine, statement_timeout_s: float) -> None:
    """Set up each new connection of `engine` as Hawser needs it.

    SQLite keeps what it acknowledged: WAL, synchronous=FULL, foreign keys, the file. Its write
    transactions start with BEGIN IMMEDIATE when the connection's execution option
    `sqlite_begin` says so (see `immediate`).
    """
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _sqlite_pragmas)
        event.listen(engine, "begin", _sqlite_begin)
        sqlite_guard.watch(engine)
        return

    def apply_settings(dbapi_connection: Any, _record: Any) -> None:
        postgresql_session.apply(dbapi_connection, statement_timeout_s)

    # First of all: SQLAlchemy's own questions to a new server depend on the settings too.
    event.listen(engine, "connect", apply_settings, insert=True)


def immediate(engine: Engine) -> Engine:
    """Return a view of `engine` whose transactions take SQLite's write lock at once.

    A read that turns into a write can fail at the upgrade; taking the lock first waits.
    """
    return engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")


def is_immediate(transaction: Connection) -> bool:
    """Return whether a transaction is one of `immediate`, which holds SQLite's write lock."""
    return bool(transaction.get_execution_options().get("sqlite_begin") == "BEGIN IMMEDIATE")


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
