"""Rows as the worker and plain SQL would write them, for tests of the web alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, insert, select, text

from database.clock import database_now
from database.models import (
    Command,
    CommandResult,
    Connection,
    ConnectionEvent,
    ConnectionStatus,
    ConnectionTraffic,
    Subscription,
    SubscriptionStatus,
    WorkerHeartbeat,
)
from database.words import Certainty, CommandState, ConnectionState, Origin, WorkerState

BOOT = "boot-1"
COUNTS = tuple(column.key for column in ConnectionTraffic.__table__.c if not column.primary_key)


def heartbeat(engine: Engine, *, age: float = 0.5, **values: Any) -> None:
    """Write the heartbeat of a worker that beat `age` seconds ago."""
    row: dict[str, Any] = {
        "worker_id": "worker-1",
        "hostname": "secret-machine",
        "pid": 4711,
        "boot_id": BOOT,
        "version": "0.1.0",
        "state": WorkerState.RUNNING,
        "hub_lag_ms": 3,
        "rss_bytes": 48_000_000,
        "started_at": database_now(-3600.0),
        "beat_at": database_now(-age),
    }
    with engine.begin() as transaction:
        transaction.execute(insert(WorkerHeartbeat).values(**(row | values)))


def record(engine: Engine, name: str = "plant-1", **values: Any) -> int:
    """Insert a connection and return its id."""
    row = {"name": name, "site": f"site-{name}", "host": "broker.example"} | values
    with engine.begin() as transaction:
        result = transaction.execute(insert(Connection.__table__).values(**row))  # type: ignore[arg-type]
        key: Any = result.inserted_primary_key
        return int(key[0])


def status(
    engine: Engine,
    connection_id: int,
    state: ConnectionState = ConnectionState.CONNECTED,
    *,
    for_seconds: float = 600.0,
    **values: Any,
) -> None:
    """Write the state of a connection, entered `for_seconds` ago."""
    row: dict[str, Any] = {
        "connection_id": connection_id,
        "boot_id": BOOT,
        "state": state,
        "reason_code": "success",
        "origin": Origin.BROKER,
        "certainty": Certainty.CERTAIN,
        "since": database_now(-for_seconds),
        "attempt": 0,
        "applied_revision": 1,
    }
    with engine.begin() as transaction:
        transaction.execute(insert(ConnectionStatus).values(**(row | values)))


def event(engine: Engine, connection_id: int, state: ConnectionState, **values: Any) -> None:
    """Write one transition of a connection."""
    row: dict[str, Any] = {
        "connection_id": connection_id,
        "at": database_now(),
        "state": state,
        "reason_code": "success",
        "origin": Origin.BROKER,
        "certainty": Certainty.CERTAIN,
    }
    with engine.begin() as transaction:
        transaction.execute(insert(ConnectionEvent).values(**(row | values)))


def traffic(
    engine: Engine,
    connection_id: int,
    minutes_ago: float = 0.0,
    *,
    seconds: int = 60,
    **counts: int,
) -> None:
    """Write what a connection carried in the minute, or other stretch, `minutes_ago`."""
    moment = datetime.now(UTC).timestamp() - 60 * minutes_ago
    row: dict[str, Any] = {
        "connection_id": connection_id,
        "seconds": seconds,
        "starts_at": datetime.fromtimestamp(moment // seconds * seconds, UTC),
        **dict.fromkeys(COUNTS, 0),
    }
    with engine.begin() as transaction:
        transaction.execute(insert(ConnectionTraffic).values(**(row | counts)))


def subscription(
    engine: Engine, connection_id: int, topic_filter: str, every: int = 0, **heard: Any
) -> None:
    """Insert a subscription and, if anything is given, what the worker knows of it."""
    wish = {
        "connection_id": connection_id,
        "topic_filter": topic_filter,
        "expected_every_s": every,
    }
    with engine.begin() as transaction:
        result = transaction.execute(insert(Subscription.__table__).values(**wish))  # type: ignore[arg-type]
        key: Any = result.inserted_primary_key
        fact = {"subscription_id": key[0], "connection_id": connection_id, **heard}
        if heard:
            transaction.execute(insert(SubscriptionStatus).values(**fact))


def command(engine: Engine, kind: str = "reconnect", *, age: float = 0.0) -> int:
    """Insert a command asked for `age` seconds ago and return its id."""
    row = {"kind": kind, "requested_at": database_now(-age)}
    with engine.begin() as transaction:
        result = transaction.execute(insert(Command.__table__).values(**row))  # type: ignore[arg-type]
        key: Any = result.inserted_primary_key
        return int(key[0])


def result(engine: Engine, command_id: int, state: CommandState, **values: Any) -> None:
    """Write what the worker of `heartbeat` made of a command."""
    row: dict[str, Any] = {
        "command_id": command_id,
        "state": state,
        "boot_id": BOOT,
        "accepted_at": database_now(),
    }
    with engine.begin() as transaction:
        transaction.execute(insert(CommandResult).values(**(row | values)))


def failed_test(host: str = "broker.example") -> dict[str, Any]:
    """Return the result of a test that nobody answered at the second try."""
    refused = {"reason_code": "tcp_refused", "detail": {"host": host, "port": 1883}}
    return {
        "code": "test_failed",
        "detail": {"step": "TCP"},
        "verdict": "failed",
        "steps": [
            {"name": "dns", "state": "ok", "ms": 1.2, "reason_code": None, "detail": {}},
            {"name": "tcp", "state": "failed", "ms": 12.0, **refused},
            {"name": "tls", "state": "skipped", "ms": None, "reason_code": "no_tls", "detail": {}},
        ],
        "earlier_tries": [{"protocol": "5", **refused}],
        "client_id": "me-probe-a1b2c3",
        "certificate": {"subject": "CN=broker", "expires_at": "2027-01-02T03:04:05+00:00"},
    }


def sql(engine: Engine, statement: str, **values: Any) -> None:
    """Run plain SQL, as somebody with a database shell would."""
    with engine.begin() as transaction:
        transaction.execute(text(statement), values)


def parameters(engine: Engine) -> list[str]:
    """Return what the commands were given, decrypted, as far as it is not forgotten."""
    query = select(Command.__table__.c.parameters).order_by(Command.id)
    with engine.connect() as transaction:
        return [given for given in transaction.scalars(query) if given]
