"""Writes states and events in batches, so that a thousand changes are one commit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import gevent
import structlog
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from sqlalchemy.exc import SQLAlchemyError

from mqttworker.ports.journal import Status, Transition
from mqttworker.ports.store import Facts, LeaseLostError
from mqttworker.service.threads import in_thread

log = structlog.get_logger(__name__)

#: Changes are gathered for this long before they are written, seconds.
GATHER = 0.2
#: Wait before another try when the database does not take them, seconds.
RETRY = 1.0
#: Events kept while the database is away; the oldest go first.
MAX_WAITING_EVENTS = 100_000
#: Rows in one transaction: small enough not to hold the database up.
SLICE = 2_000


class Journal:
    """Takes notes at once and writes them from a greenlet of its own."""

    def __init__(self, facts: Facts, on_lease_lost: Callable[[], object]) -> None:
        self._facts = facts
        self._on_lease_lost = on_lease_lost
        self._statuses: dict[int, Status] = {}
        self._transitions: deque[Transition] = deque(maxlen=MAX_WAITING_EVENTS)
        self._noted = Event()
        self._is_failing = False
        self._writing = BoundedSemaphore()

    def note(self, status: Status, transition: Transition | None = None) -> None:
        """Remember a change; only the last state of a connection is written, every event is."""
        self._statuses[status.connection_id] = status
        if transition is not None:
            self._transitions.append(transition)
        self._noted.set()

    def run(self) -> None:
        """Write what was noted, for ever."""
        while True:
            self._noted.wait()
            gevent.sleep(GATHER)
            if not self.flush():
                gevent.sleep(RETRY)

    def flush(self) -> bool:
        """Write all that is waiting; return False if the database did not take it."""
        # In a greenlet that nobody ends: rows that reached the database must be crossed
        # off the list even when the caller is told to stop meanwhile.
        written: bool = gevent.spawn(self._flush).get()
        return written

    def _flush(self) -> bool:
        with self._writing:
            return self._write_all()

    def _write_all(self) -> bool:
        while self._statuses or self._transitions:
            statuses = [self._statuses[key] for key in list(self._statuses)[:SLICE]]
            transitions = list(self._transitions)[:SLICE]
            try:
                in_thread(self._facts.write, statuses, transitions)
            except SQLAlchemyError as error:
                self._report_failure(error)
                return False
            except LeaseLostError:
                self._on_lease_lost()
                return False
            self._drop_written(statuses, len(transitions))
        self._noted.clear()
        self._is_failing = False
        return True

    def _drop_written(self, statuses: list[Status], transitions: int) -> None:
        for status in statuses:
            # A newer state may have been noted while this one was being written.
            if self._statuses.get(status.connection_id) is status:
                del self._statuses[status.connection_id]
        for _ in range(min(transitions, len(self._transitions))):
            self._transitions.popleft()

    def _report_failure(self, error: SQLAlchemyError) -> None:
        if not self._is_failing:
            log.error("states cannot be written, trying again", error=type(error).__name__)
        self._is_failing = True
