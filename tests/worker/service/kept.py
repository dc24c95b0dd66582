"""Messages as the intake and others leave them behind, and what is left of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

from sqlalchemy import Engine, func, insert, select, text

from database.clock import database_now
from database.models import Message, MessageTotals, WorkerLease
from database.session import immediate
from mqttworker.core.letters import Letter
from mqttworker.core.messages import InboundMessage
from mqttworker.ports.store import Messages
from mqttworker.ports.store.retention import Retention

BOOT = "boot-2"
DAY = 86_400.0
#: Bytes of topic and payload of a message of `add`; a hundred thousand of them are not rare.
TOPIC, PAYLOAD = "plant/ü", b"\x00" * 992
SIZE = 1_000


def hold_lease(engine: Engine) -> None:
    """Let BOOT hold the lease."""
    with engine.begin() as transaction:
        lease = insert(WorkerLease).values(slot=0, boot_id=BOOT, expires_at=database_now(5.0))
        transaction.execute(lease)


def retention(engine: Engine, *, days: int = 30, megabytes: int = 1_000) -> Retention:
    """Return what the worker BOOT removes by."""
    return Retention(engine, BOOT, days=days, megabytes=megabytes)


def add(engine: Engine, connection_id: int, number: int, *, age: float = 0.0) -> None:
    """Insert messages of SIZE bytes that came `age` seconds ago."""
    at = datetime.now(UTC) - timedelta(seconds=age)
    row = {"connection_id": connection_id, "received_at": at, "topic": TOPIC, "payload": PAYLOAD}
    with immediate(engine).begin() as transaction:
        transaction.execute(insert(Message), [{**row, "qos": 1}] * number)


@contextmanager
def intake(engine: Engine, connection_id: int) -> Iterator[list[float]]:
    """Store batches of 50 as the intake does while the block runs; yields how long each took."""
    waits: list[float] = []
    over = threading.Event()
    store = Messages(engine, BOOT)
    message = InboundMessage("t", b"x" * 99, 0, retain=False, dup=False)

    def run() -> None:
        while not over.wait(0.005):
            letters = [Letter(connection_id, datetime.now(UTC), message)] * 50
            started = monotonic()
            store.write(len(waits) + 1, letters)
            waits.append(monotonic() - started)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield waits
    finally:
        over.set()
        thread.join()


def clean(store: Retention) -> None:
    """Do one round without a pause."""
    for _ in store.clean():
        pass


def kept(engine: Engine) -> dict[int, int]:
    """Return how many messages there are of each connection."""
    owner = Message.connection_id
    with engine.connect() as transaction:
        query = select(owner, func.count()).group_by(owner)
        return {row[0]: row[1] for row in transaction.execute(query)}


def totals(engine: Engine) -> dict[int, Any]:
    """Return what the worker says is kept of each connection."""
    with engine.connect() as transaction:
        rows = transaction.execute(select(MessageTotals.__table__)).all()
    return {row.connection_id: row for row in rows}


def files(engine: Engine) -> set[str]:
    """Return the names of the partitions of `message`."""
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'message'::regclass"
    with engine.connect() as transaction:
        return set(transaction.scalars(text(query)))
