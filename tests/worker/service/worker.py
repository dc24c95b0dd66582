"""The real worker process, watched through its database."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from database.models import (
    ConfigVersion,
    Connection,
    ConnectionEvent,
    ConnectionStatus,
    Subscription,
    WorkerHeartbeat,
)
from database.words import ConnectionState, WorkerState
from tests.support.databases import ONE_DATABASE
from tests.support.process import Child

__all__ = [
    "ONE_DATABASE",
    "WorkerProcess",
    "add",
    "change",
    "events",
    "heartbeat",
    "states",
    "status",
]

ROOT = Path(__file__).parents[3]
START_TIMEOUT = 60.0  # seconds, on a busy machine


class WorkerProcess:
    """`python -m mqttworker` as supervisord starts it."""

    def __init__(self, directory: Path, environment: Mapping[str, str], engine: Engine) -> None:
        self._directory = directory
        self._environment = environment
        self._engine = engine
        self.child: Child

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop()

    def start(self) -> None:
        """Start the process; it may still wait for its database."""
        command = [sys.executable, "-m", "mqttworker"]
        log = self._directory / f"{self._environment.get('NAME', 'worker')}.log"
        self.child = Child(command, log, env=self._environment, cwd=ROOT)

    def wait_for_states(
        self, wanted: Mapping[str, ConnectionState], seconds: float = START_TIMEOUT
    ) -> None:
        """Wait until this process has written the wanted states of the named connections."""

        def settled() -> bool:
            boot_id = heartbeat(self._engine, self.child.pid).get("boot_id")
            return wanted.items() <= states(self._engine, boot_id).items()

        self.child.wait_for(settled, seconds, f"{wanted}, at last {states(self._engine)}")

    def wait_until_worker(self, state: WorkerState, seconds: float = START_TIMEOUT) -> None:
        """Wait until this process says that it is in `state`."""

        def arrived() -> bool:
            return heartbeat(self._engine, self.child.pid).get("state") == state

        self.child.wait_for(arrived, seconds, f"worker {state}")


def add(engine: Engine, name: str, port: int, *filters: str, **columns: Any) -> int:
    """Insert an enabled record at the local broker; return its id."""
    with Session(engine) as session:
        row = Connection(
            **{"name": name, "site": name, "host": "127.0.0.1", "port": port, **columns},
            subscriptions=[Subscription(topic_filter=topic_filter) for topic_filter in filters],
        )
        session.add(row)
        session.flush()
        _bump(session)
        session.commit()
        return row.id


def change(engine: Engine, name: str, *, bump: bool = True, **columns: Any) -> None:
    """Change columns of a record, as the web does, or like plain SQL without `bump`."""
    with Session(engine) as session:
        session.query(Connection).where(Connection.name == name).update(columns)  # type: ignore[arg-type]
        if bump:
            _bump(session)
        session.commit()


def _bump(session: Session) -> None:
    session.query(ConfigVersion).update({"version": ConfigVersion.version + 1})


def states(engine: Engine, boot_id: str | None = None) -> dict[str, ConnectionState]:
    """Return the stored state of each connection by name, as written by `boot_id` if given."""
    query = select(Connection.name, ConnectionStatus.state).join(
        ConnectionStatus, ConnectionStatus.connection_id == Connection.id
    )
    if boot_id is not None:
        query = query.where(ConnectionStatus.boot_id == boot_id)
    with engine.connect() as transaction:
        rows = transaction.execute(query).all()
    return {row.name: row.state for row in rows}


def status(engine: Engine, name: str) -> Any:
    """Return the status row of a connection."""
    query = select(ConnectionStatus.__table__).join(
        Connection, ConnectionStatus.connection_id == Connection.id
    )
    with engine.connect() as transaction:
        return transaction.execute(query.where(Connection.name == name)).one()


def events(engine: Engine, connection_id: int) -> list[tuple[str, str]]:
    """Return (state, reason code) of each event of a connection, oldest first."""
    query = select(ConnectionEvent.state, ConnectionEvent.reason_code)
    query = query.where(ConnectionEvent.connection_id == connection_id).order_by(ConnectionEvent.id)
    with engine.connect() as transaction:
        return [(state, code) for state, code in transaction.execute(query)]


def heartbeat(engine: Engine, pid: int) -> dict[str, Any]:
    """Return the heartbeat of a process, empty if there is none."""
    query = select(WorkerHeartbeat.__table__).where(WorkerHeartbeat.pid == pid)
    with engine.connect() as transaction:
        row = transaction.execute(query).one_or_none()
        return dict(row._mapping) if row else {}
