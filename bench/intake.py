"""The worker as the benchmarks of messages run it: on any database, watched through it."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from bench import proc
from bench.contestants import ROOT
from bench.ports import HOST
from bench.processes import Child, wait_until
from bench.stores import Store
from database.models import Connection, ConnectionStatus, Subscription, WorkerHeartbeat
from database.words import ConnectionState

CONNECT_TIMEOUT = 60.0  # seconds
#: Seconds between two looks at what the worker tells.
LOOK_INTERVAL = 0.5
BEAT_TIMEOUT = 20.0  # seconds
#: How long a broker keeps a session that is away, seconds.
SESSION_EXPIRY = 3_600


class Intake:
    """`python -m mqttworker` on a database; `start` again after it was killed."""

    def __init__(
        self, directory: Path, store: Store, settings: Mapping[str, str] | None = None
    ) -> None:
        self._log = directory / "worker.log"
        self._store = store
        self._environment = {
            "PATH": os.environ["PATH"],
            "HAWSER_HOME": str(directory),
            "HAWSER_DATABASE_URL": store.url,
            "HAWSER_ENCRYPTION_KEYS": store.key,
            "HAWSER_HOSTNAME": "worker",
            **(settings or {}),
        }
        self.child: Child

    def start(self) -> None:
        """Start the process."""
        command = [sys.executable, "-m", "mqttworker"]
        self.child = Child(command, self._log, cwd=ROOT, env=self._environment)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.child.stop()

    def wait_for_connected(self, count: int) -> None:
        """Return when `count` connections are connected."""
        wanted = f"{count} connections"
        self.child.wait_for(lambda: self._connected() == count, CONNECT_TIMEOUT, wanted)

    def _connected(self) -> int:
        return sum(row.state == ConnectionState.CONNECTED for row in self.statuses())

    def sessions(self) -> dict[int, datetime | None]:
        """Return since when each connection has its session, by id; one may be degraded."""
        return {row.connection_id: row.connected_since for row in self.statuses()}

    def statuses(self) -> list[ConnectionStatus]:
        """Return the status row of every connection, by id."""
        with Session(self._store.engine) as session:
            query = select(ConnectionStatus).order_by(ConnectionStatus.connection_id)
            return list(session.scalars(query))

    def heartbeat(self) -> WorkerHeartbeat | None:
        """Return what this process told last."""
        query = select(WorkerHeartbeat).where(WorkerHeartbeat.pid == self.child.pid)
        with Session(self._store.engine) as session:
            return session.scalars(query).one_or_none()

    @property
    def peak_kb(self) -> int:
        """The most resident memory that the process ever had, KB."""
        return proc.peak_kb(self.child.pid)


def add_record(store: Store, name: str, port: int, topic_filter: str, **columns: Any) -> int:
    """Insert an enabled record with a lasting session and one Topic Filter; return its id."""
    values = {"site": name, "client_id": name, "clean_session": False, **columns}
    row = Connection(
        name=name,
        host=HOST,
        port=port,
        session_expiry_s=SESSION_EXPIRY,
        subscriptions=[Subscription(topic_filter=topic_filter)],
        **values,
    )
    with Session(store.engine) as session:
        session.add(row)
        session.commit()
        return row.id


class Watch:
    """Remembers the worst that the worker's heartbeat tells from the next beat on."""

    def __init__(self, intake: Intake) -> None:
        #: Milliseconds; 0 until the first beat.
        self.hub_lag_ms = 0.0
        self.most_waiting = 0
        self._intake = intake
        #: What the beat at hand tells was before.
        self._last_beat = self._beat_at()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def wait_for_beat(self) -> None:
        """Return when a beat has told of everything until now."""
        before = self._beat_at()
        wait_until(lambda: self._beat_at() != before, BEAT_TIMEOUT, "a heartbeat")
        wait_until(lambda: self._last_beat != before, BEAT_TIMEOUT, "a look at it")

    def _beat_at(self) -> datetime | None:
        beat = self._intake.heartbeat()
        return beat.beat_at if beat else None

    def _look(self) -> None:
        over = False
        while not over:
            over = self._over.wait(LOOK_INTERVAL)
            try:
                beat = self._intake.heartbeat()
            except SQLAlchemyError:
                continue  # a database that is away is part of some benchmarks
            if beat is not None and beat.beat_at != self._last_beat:
                self._last_beat = beat.beat_at
                self.hub_lag_ms = max(self.hub_lag_ms, beat.hub_lag_ms)
                self.most_waiting = max(self.most_waiting, beat.messages_waiting)
