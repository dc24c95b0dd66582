"""Writes states and events in batches: a thousand changes are one commit.

Each change of state is also one line in the log, written with the batch, so that a
burst of connects is not slowed down by talking about it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Protocol

import gevent
import structlog
from gevent.event import Event
from sqlalchemy.exc import SQLAlchemyError

from database import connect_error
from database.words import ConnectionState
from mqttworker.adapters.hub_turn import yield_to_hub
from mqttworker.core.repeats import Repeats
from mqttworker.core.spec import Record
from mqttworker.ports.journal import Status, Transition
from mqttworker.ports.store import Facts, LeaseLostError
from mqttworker.service.threads import InOrder, in_thread

log = structlog.get_logger(__name__)

#: Changes are gathered until none came for GATHER seconds, at most MAX_GATHER.
GATHER, MAX_GATHER = 0.1, 1.0
#: So many changes in GATHER seconds are a burst that is let pass.
BURST = 20
#: Wait before another try when the database does not take them, seconds.
RETRY = 1.0
#: Events kept while the database is away; the oldest go first.
MAX_WAITING_EVENTS = 100_000
#: Lines made before others have their turn.
LINES = 100
#: Rows in one transaction: small enough not to hold the database up.
SLICE = 2_000


class Subject(Protocol):
    """Whose state is written down: a connection manager."""

    record: Record

    def status(self) -> Status:
        """Return the state as it is now."""


class Journal:
    """Takes notes at once and writes them from a greenlet of its own."""

    def __init__(self, facts: Facts, on_lease_lost: Callable[[], object]) -> None:
        self._facts = facts
        self._on_lease_lost = on_lease_lost
        #: Whose state changed since it was last written.
        self._changed: dict[int, Subject] = {}
        self._transitions: deque[Transition] = deque(maxlen=MAX_WAITING_EVENTS)
        #: The events that are being written, and their number. They stay together until the
        #: database has them: a COMMIT may have taken effect although its answer was lost.
        self._batch: list[Transition] = []
        self._batches = 0
        self._untold: deque[tuple[str, Transition]] = deque(maxlen=MAX_WAITING_EVENTS)
        self._noted = Event()
        self._notes = 0
        self._is_failing = False
        self._in_order = InOrder()
        self._repeats = Repeats()

    def note(self, subject: Subject, transition: Transition | None = None) -> None:
        """Remember a change; only the last state of a connection is written, every event is."""
        self._changed[subject.record.connection_id] = subject
        if transition is not None:
            self._transitions.append(transition)
            self._untold.append((subject.record.name, transition))
        self._notes += 1
        self._noted.set()

    def run(self) -> None:
        """Write what was noted, for ever."""
        while True:
            self._noted.wait()
            self._gather()
            if not self.flush():
                gevent.sleep(RETRY)

    def flush(self) -> bool:
        """Write all that is waiting; return False if the database did not take it."""
        return self._in_order.do(self._flush)

    def _gather(self) -> None:
        """Let a burst pass: writing it in pieces would cost more, and slow the burst."""
        for _ in range(int(MAX_GATHER / GATHER)):
            before = self._notes
            gevent.sleep(GATHER)
            if self._notes - before < BURST:
                return

    def _flush(self) -> bool:
        self._tell()
        while self._changed or self._batch or self._transitions:
            if not self._write_slice():
                return False
        self._noted.clear()
        self._is_failing = False
        return True

    def _write_slice(self) -> bool:
        """Write some of what is waiting; what the database does not take waits on."""
        subjects = dict(islice(self._changed.items(), SLICE))
        if not self._batch and self._transitions:
            number = min(SLICE, len(self._transitions))
            self._batch = [self._transitions.popleft() for _ in range(number)]
            self._batches += 1
        for connection_id in subjects:
            del self._changed[connection_id]
        statuses = [subject.status() for subject in subjects.values()]
        try:
            in_thread(self._facts.write, statuses, self._batch, self._batches)
        except (SQLAlchemyError, LeaseLostError) as error:
            # Those that changed again meanwhile have their place already.
            self._changed = {**subjects, **self._changed}
            self._report_failure(error)
            return False
        self._batch = []
        return True

    def _report_failure(self, error: Exception) -> None:
        if isinstance(error, LeaseLostError):
            self._on_lease_lost()
        elif not self._is_failing:
            log.error("states cannot be written, trying again", error=connect_error.words(error))
        self._is_failing = True

    def _tell(self) -> None:
        """Write a line for each transition since the last time.

        At DEBUG only: tries, the same trouble again, and what is told once for all
        connections of a broker.
        """
        for count in range(1, len(self._untold) + 1):
            if count % LINES == 0:
                yield_to_hub()
            name, item = self._untold.popleft()
            level = log.info if self._is_worth_a_line(item) else log.debug
            level(
                str(item.why),
                connection=name,
                connection_id=item.connection_id,
                state=item.state.value,
                reason=item.why.code,
                at=item.at.isoformat(),
            )

    def _is_worth_a_line(self, item: Transition) -> bool:
        if item.state is ConnectionState.DISABLED:
            # Said by somebody, so it is news; what may be told later begins anew.
            self._repeats.forget(item.connection_id)
            return True
        if item.is_shared or item.state is ConnectionState.CONNECTING:
            return False
        return self._repeats.is_news(item.connection_id, item.why.code, item.at)
