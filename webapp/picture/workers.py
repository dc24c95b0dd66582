"""The worker processes as their heartbeats show them, by the clock of the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import select

from database.clock import database_now
from database.models import WorkerHeartbeat
from database.words import WorkerState
from webapp import columns
from webapp.picture import database_lock
from webapp.settings import WebSettings

#: Workers in these states look after connections.
ACTIVE_WORKERS = frozenset({WorkerState.STARTING, WorkerState.RUNNING, WorkerState.STOPPING})
_WORKER_COLUMNS = (
    "worker_id",
    "hostname",
    "pid",
    "boot_id",
    "version",
    "state",
    "hub_lag_ms",
    "rss_bytes",
    "connections",
    "connected",
    "messages_waiting",
    "intake_problem",
)


@dataclass(slots=True)
class Worker:
    """A worker process as its last heartbeat shows it."""

    worker_id: str
    hostname: str
    pid: int
    boot_id: str
    version: str
    started_at: datetime | None
    beat_at: datetime | None
    state: str
    hub_lag_ms: float
    rss_bytes: int
    connections: int
    connected: int
    #: Received messages that wait to be stored, and why if they are not stored as they come.
    messages_waiting: int
    intake_problem: str | None
    #: Seconds since the last beat by the database's clock.
    age_s: float
    stale: bool
    #: It is silent because the database lets nobody write.
    is_locked_out: bool = False

    @property
    def active(self) -> bool:
        """Whether the states of this worker are facts of now."""
        return not self.stale and self.state in ACTIVE_WORKERS


def choose(found: Sequence[Worker]) -> Worker | None:
    """Return the worker that runs the connections, else the one heard of last."""

    def rank(worker: Worker) -> tuple[bool, bool, float]:
        running = worker.state == WorkerState.RUNNING and not worker.stale
        return (running, worker.active, -worker.age_s)

    return max(found, key=rank, default=None)


def read(transaction: Transaction, settings: WebSettings) -> tuple[datetime, list[Worker]]:
    """Return the database's time and every worker that has reported."""
    table = WorkerHeartbeat
    rows = transaction.execute(
        select(
            *(columns.raw(getattr(table, name)) for name in _WORKER_COLUMNS),
            columns.time(table.started_at),
            columns.time(table.beat_at),
            columns.time(database_now().label("now")),
        )
    ).all()
    if not rows:
        moment = columns.moment(transaction.scalar(select(columns.time(database_now().label("n")))))
        assert moment is not None
        return moment, []
    now: datetime = rows[0].now
    found = [_worker(row, now, settings.heartbeat_stale_after) for row in rows]
    silent = [worker for worker in found if worker.stale and worker.state in ACTIVE_WORKERS]
    if silent and not any(worker.active for worker in found):
        is_locked = database_lock.is_locked(transaction)
        for worker in silent:
            worker.is_locked_out = is_locked
    return now, found


def _worker(row: Any, now: datetime, stale_after: float) -> Worker:
    # A beat from the future was written before the database's clock was set back: nobody
    # knows how old it is, and the next one of a worker that lives is right again.
    age = abs((now - row.beat_at).total_seconds()) if row.beat_at else float("inf")
    values = {name: getattr(row, name) for name in _WORKER_COLUMNS}
    return Worker(
        **values,
        started_at=row.started_at,
        beat_at=row.beat_at,
        age_s=age,
        stale=age > stale_after,
    )
