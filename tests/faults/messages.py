"""What the faults of messages have in common: the oracle, the senders, and the rows.

Each message has a number as its payload (`bench.payloads`), so that a row says which it is
and whether it is whole.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Row, Select, func, select

from bench import payloads
from bench.publisher import batches
from bench.session import RawSession
from database.models import DeadLetter, Message, WorkerHeartbeat
from mqttworker.service.service import DATABASE_CONNECTIONS
from tests.faults.oracle import SPARE_FILES, Oracle
from tests.faults.stage import TOLD_WITHIN, Stage, Subject
from tests.support import packets
from tests.support.packets import PacketType
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session

#: Seconds within which what waits is stored once it can be.
DRAINED_WITHIN = 15.0
SIZE = 100  # bytes of a payload


class MessageOracle(Oracle):
    """The oracle, also while nobody can write to the database.

    Nothing of the worker can be told then, so only its life and the sessions count, and
    health has to be right again within five seconds.
    """

    #: While statements wait, the pool opens what it may: three files each on SQLite.
    spare_files = SPARE_FILES + 3 * DATABASE_CONNECTIONS

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        self._is_away = False

    @contextmanager
    def database_away(self) -> Iterator[None]:
        """Ask for no heartbeat meanwhile, and for a new one soon after."""
        self._is_away = True
        yield
        back = self.beat_at()
        wait_until(lambda: self.beat_at() > back, TOLD_WITHIN, "a heartbeat")
        self._is_away = False
        # Its lag is the worst since the last beat that could be written.
        self._look(self.stage.health())

    def beat_at(self) -> Any:
        """Return when the worker's last heartbeat was written."""
        query = select(WorkerHeartbeat.beat_at).where(WorkerHeartbeat.pid == self.stage.pid)
        with self.stage.engine.connect() as transaction:
            return transaction.scalar(query)

    def _look(self, body: dict[str, Any]) -> None:
        if not self._is_away:
            super()._look(body)
        elif not self.stage.worker.child.running:
            self._wrong.append("the worker ended")


@contextmanager
def locked(stage: Stage) -> Iterator[None]:
    """Hold SQLite's write lock."""
    assert stage.engine.url.database is not None
    other = sqlite3.connect(stage.engine.url.database, isolation_level=None, timeout=10.0)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


# --- what is stored


def rows(subject: Subject) -> list[Row[Any]]:
    """Return the stored messages of a connection, in order."""
    return _all(subject, select(Message.__table__).where(Message.connection_id == subject.id))


def letters(subject: Subject) -> list[Row[Any]]:
    """Return its messages that were set aside, in order."""
    table = DeadLetter.__table__
    return _all(subject, select(table).where(table.c.connection_id == subject.id))


def _all(subject: Subject, query: Select[Any]) -> list[Row[Any]]:
    with subject.stage.engine.connect() as transaction:
        return list(transaction.execute(query.order_by("id")))


def count(subject: Subject) -> int:
    """Return how many messages of a connection are stored."""
    query = select(func.count()).where(Message.connection_id == subject.id)
    with subject.stage.engine.connect() as transaction:
        return transaction.scalar(query) or 0


def wait_for_rows(subject: Subject, number: int, seconds: float = DRAINED_WITHIN) -> None:
    """Return when so many messages of a connection are stored."""
    what = lambda: f"{number} rows, {count(subject)} are there"  # noqa: E731
    wait_until(lambda: count(subject) >= number, seconds, what)


def numbers(subject: Subject) -> list[int | None]:
    """Return the numbers of the stored messages in order, None for one that is not whole."""
    return [payloads.number_of(row.payload) for row in rows(subject)]


# --- who sends


def numbered(
    wanted: Iterable[int], qos: int, version: int = packets.V5, topic: str = "data/x"
) -> list[bytes]:
    """Return a PUBLISH for each number, which is its Packet Identifier less one, too."""
    return [
        packets.publish(version, topic, payloads.make(number, SIZE), qos=qos, packet_id=number + 1)
        for number in wanted
    ]


def acknowledged(session: Session, kind: PacketType = PacketType.PUBACK) -> list[int]:
    """Return the numbers of the messages that a session has acknowledged, in order."""
    return [identifier - 1 for found, identifier in list(session.acknowledged) if found is kind]


def wait_for_acknowledged(
    broker: ScriptedBroker, session: Session, wanted: Sequence[int], seconds: float = DRAINED_WITHIN
) -> None:
    """Return when the messages with these numbers are acknowledged, in any order."""
    due = sorted(wanted)
    broker.wait(lambda: sorted(acknowledged(session)) == due, seconds)


@contextmanager
def sending(*senders: Callable[[], object]) -> Iterator[None]:
    """Let each of `senders`, which may have to wait, run beside; wait for them at the end."""
    threads = [threading.Thread(target=sender, daemon=True) for sender in senders]
    for thread in threads:
        thread.start()
    yield
    for thread in threads:
        thread.join(DRAINED_WITHIN)
        assert not thread.is_alive(), "a sender still waits"


def publish(port: int, made: Iterable[bytes], qos: int) -> None:
    """Publish to a broker by MQTT 3.1.1; return when it has taken all."""
    with RawSession(port, "sender") as session:
        for piece, size in batches(made):
            session.send(piece, size if qos == 1 else 0)
        session.settle()
        session.catch_up()
