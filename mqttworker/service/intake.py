"""Durable intake: what is received waits in a bounded queue, is stored, then acknowledged.

Batches: while one is being written the next one gathers, so that a slow database makes
larger batches, not more of them. Nothing is ever acknowledged before its COMMIT.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

import gevent
import structlog
from gevent.event import Event
from sqlalchemy.exc import SQLAlchemyError

from mqttworker.core.letters import Letter
from mqttworker.core.messages import InboundMessage
from mqttworker.core.room import Load, Room, size_of
from mqttworker.ports.store import LeaseLostError, Messages
from mqttworker.ports.store.unreleased import ReleaseLog
from mqttworker.service.context import Clock
from mqttworker.service.inflow import Inflow
from mqttworker.service.threads import in_thread

log = structlog.get_logger(__name__)

#: A batch is written when so many messages or bytes are there, or after GATHER seconds, or
#: as soon as nothing more comes: a broker may be waiting for its acknowledgements.
BATCH_MESSAGES, BATCH_BYTES = 2_000, 4_194_304
GATHER, PAUSE = 0.05, 0.002
#: Wait before a batch is tried again that the database did not take, seconds.
RETRY = 0.5
#: How long a connection waits for what is written down of its session, seconds.
PATIENCE = 10.0
#: A connection that was held back goes on when it fills less than this of what is free.
RESUME_SHARE = 0.5


class Parcel(NamedTuple):
    """The messages of one read of one connection, or what is to be removed of it."""

    inflow: Inflow
    messages: Sequence[InboundMessage]
    received_at: datetime
    #: Monotonic seconds.
    taken_at: float
    size: int
    #: Packet Identifiers of QoS 2 messages that the broker has released.
    released: list[int] = []  # noqa: RUF012 - never changed, a new one replaces it
    #: Whether the session is gone, and with it all that is not released.
    is_forgotten: bool = False


class Intake:
    """The queue between the sessions and the table `message`, for all connections."""

    def __init__(
        self, store: Messages, room: Room, clock: Clock, on_lease_lost: Callable[[], object]
    ) -> None:
        self._store = store
        self._room = room
        self._clock = clock
        self._on_lease_lost = on_lease_lost
        self._queue: deque[Parcel] = deque()
        self.load = Load()
        self._held_back: list[Inflow] = []
        self._came, self._is_empty = Event(), Event()
        self._is_empty.set()
        #: How many batches were stored; the number of the next one is one more.
        self._batches = 0
        #: How many parcels, from the first in the queue, are just being written.
        self._writing = 0
        #: Why nothing is stored at present, None while it is.
        self.failure: str | None = None

    # --- called on the loop: only take note, never block

    def take(self, inflow: Inflow, messages: Sequence[InboundMessage]) -> None:
        """Let `messages` wait for their turn, or drop those with QoS 0 if the room is full."""
        size = sum(map(size_of, messages))
        if not self._room.is_enough(inflow.load, self.load):
            messages = self._without_qos_0(inflow, messages)
            size = sum(map(size_of, messages))
            if any(message.qos for message in messages):
                self._hold_back(inflow)
            if not messages:
                return
        inflow.tally.received(messages)
        inflow.load.add(len(messages), size)
        self.load.add(len(messages), size)
        self._add(self._parcel(inflow, messages, size))

    def release(self, inflow: Inflow, identifier: int) -> None:
        """Queue the removal of an unreleased message."""
        last = self._queue[-1] if len(self._queue) > self._writing else None
        if last is not None and last.inflow is inflow and last.released:
            # They come one by one, but many in a row.
            last.released.append(identifier)
        else:
            self._add(self._parcel(inflow)._replace(released=[identifier]))

    def forget(self, inflow: Inflow) -> None:
        """Queue the removal of all unreleased messages."""
        self._add(self._parcel(inflow)._replace(is_forgotten=True))

    def _parcel(
        self, inflow: Inflow, messages: Sequence[InboundMessage] = (), size: int = 0
    ) -> Parcel:
        return Parcel(inflow, messages, self._clock.wall(), self._clock.now(), size)

    def _add(self, parcel: Parcel) -> None:
        self._queue.append(parcel)
        self._is_empty.clear()
        self._came.set()

    @staticmethod
    def _without_qos_0(
        inflow: Inflow, messages: Sequence[InboundMessage]
    ) -> Sequence[InboundMessage]:
        dropped = [message for message in messages if not message.qos]
        if dropped:
            inflow.tally.dropped(dropped)
        return [message for message in messages if message.qos]

    def _hold_back(self, inflow: Inflow) -> None:
        # Also if it is held back already: its session may be a new one.
        inflow.pause()
        if inflow not in self._held_back:
            self._held_back.append(inflow)

    # --- what others may ask

    @property
    def oldest_at(self) -> float | None:
        """Since when the oldest message waits, monotonic seconds; None if there is none."""
        return self._queue[0].taken_at if self._queue else None

    @property
    def waiting_inflows(self) -> set[Inflow]:
        """The connections whose messages wait."""
        return {parcel.inflow for parcel in self._queue}

    def unreleased(self, connection_id: int) -> dict[int, int]:
        """Return what is written down of a connection's unreleased messages.

        Called on a greenlet that may wait, also for what is still to be written of them. After
        PATIENCE it goes on without: then the connection takes a message twice at the worst.
        """
        deadline = self._clock.now() + PATIENCE
        while self._clock.now() < deadline:
            if all(parcel.inflow.connection_id != connection_id for parcel in self._queue):
                with contextlib.suppress(SQLAlchemyError):
                    return in_thread(self._store.unreleased, connection_id)
            gevent.sleep(RETRY)
        log.warning("nothing is known of unreleased messages", connection_id=connection_id)
        return {}

    def drain(self, seconds: float) -> None:
        """Return when all is stored, or after `seconds`."""
        self._is_empty.wait(seconds)

    # --- the greenlet

    def run(self) -> None:
        """Store what comes, for ever."""
        while True:
            self._came.wait()
            self._gather()
            self._store_batch(self._next_batch())
            self._let_go_on()

    def _gather(self) -> None:
        deadline = self._clock.now() + GATHER
        while not self._is_full_batch and self._clock.now() < deadline:
            before = self.load.messages
            gevent.sleep(PAUSE)
            if self.load.messages == before:
                return

    @property
    def _is_full_batch(self) -> bool:
        return self.load.messages >= BATCH_MESSAGES or self.load.bytes >= BATCH_BYTES

    def _next_batch(self) -> list[Parcel]:
        """Return the oldest parcels, which stay in the queue until they are stored."""
        batch: list[Parcel] = []
        messages = size = 0
        for parcel in self._queue:
            if batch and (messages >= BATCH_MESSAGES or size >= BATCH_BYTES):
                break
            batch.append(parcel)
            messages += len(parcel.messages) + len(parcel.released)
            size += parcel.size
        return batch

    def _store_batch(self, batch: list[Parcel]) -> None:
        letters = [
            Letter(parcel.inflow.connection_id, parcel.received_at, message)
            for parcel in batch
            for message in parcel.messages
        ]
        self._writing = len(batch)
        aside = self._write(letters, _releases(batch))
        self._writing = 0
        if aside:
            self._note_set_aside(batch, aside)
        self._batches += 1
        for _ in batch:
            self._queue.popleft()
        self._release(batch)
        if not self._queue:
            self._came.clear()
            self._is_empty.set()

    def _write(self, letters: list[Letter], releases: ReleaseLog) -> dict[int, str]:
        """Write one batch, however long it takes; return what was set aside."""
        while True:
            try:
                aside = in_thread(self._store.write, self._batches + 1, letters, releases)
            except LeaseLostError:
                self._on_lease_lost()
            except SQLAlchemyError as error:
                self._note_failure(error)
            else:
                self._note_success()
                return aside
            gevent.sleep(RETRY)

    def _release(self, batch: list[Parcel]) -> None:
        for parcel in batch:
            parcel.inflow.load.add(-len(parcel.messages), -parcel.size)
            self.load.add(-len(parcel.messages), -parcel.size)
        for inflow, parcels in groupby(sorted(batch, key=_owner), key=lambda item: item.inflow):
            mine = list(parcels)
            if released := [number for parcel in mine for number in parcel.released]:
                inflow.completed(released)
            inflow.stored([message for parcel in mine for message in parcel.messages])

    def _let_go_on(self) -> None:
        """Let those send again whose share is small enough now."""
        for inflow in list(self._held_back):
            if self._room.is_enough(inflow.load, self.load, RESUME_SHARE):
                self._held_back.remove(inflow)
                inflow.resume()

    # --- what is told

    def _note_failure(self, error: SQLAlchemyError) -> None:
        problem = _in_words(error)
        if self.failure is None:
            log.error("messages cannot be stored, they wait", problem=problem)
        self.failure = problem

    def _note_success(self) -> None:
        if self.failure is not None:
            log.info("messages are stored again", waiting=self.load.messages)
        self.failure = None

    @staticmethod
    def _note_set_aside(batch: list[Parcel], aside: dict[int, str]) -> None:
        inflows = [parcel.inflow for parcel in batch for _ in parcel.messages]
        for number in aside:
            inflows[number].tally.set_aside(1)
        number, problem = next(iter(aside.items()))
        log.warning(
            "messages were set aside",
            messages=len(aside),
            connection_id=inflows[number].connection_id,
            problem=problem,
        )


def _releases(batch: list[Parcel]) -> ReleaseLog:
    """Return what a batch changes of the messages that are not released."""
    changes = ReleaseLog()
    for parcel in batch:
        inflow = parcel.inflow
        if not inflow.receipts.is_kept:
            continue
        if parcel.is_forgotten:
            changes.forget(inflow.connection_id)
        for identifier in parcel.released:
            changes.release(inflow.connection_id, identifier)
        for message in parcel.messages:
            if message.qos == 2:
                digest = inflow.receipts.digest(message)
                changes.hold(inflow.connection_id, message.identifier, digest)
    return changes


def _owner(parcel: Parcel) -> int:
    return parcel.inflow.connection_id


def _in_words(error: SQLAlchemyError) -> str:
    """Return the database's own first line, without statement and parameters."""
    said = str(getattr(error, "orig", None) or type(error).__name__).strip()
    return said.splitlines()[0] if said else type(error).__name__
