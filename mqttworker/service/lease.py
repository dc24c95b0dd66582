"""Keeps the lease: one worker runs the connections, any other stands by."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

import structlog
from gevent.event import Event
from sqlalchemy.exc import SQLAlchemyError

from mqttworker.adapters.lockfile import LockFile
from mqttworker.core.lease import Tenure
from mqttworker.ports.store import Presence
from mqttworker.service.context import Clock
from mqttworker.service.threads import InOrder, OwnThread

log = structlog.get_logger(__name__)

#: The lease runs out this long after its last renewal, seconds.
LEASE_TTL = 5.0
#: Time between two renewals, or two tries of a standby, seconds.
LEASE_INTERVAL = 0.5
#: Time between two looks at whether it is about to run out, seconds.
CHECK_INTERVAL = 0.1
#: A database that has not answered for this long, while the hub turned, does not answer, seconds.
SILENT_AFTER = 2.0


class LeaseKeeper:
    """Knows whether this worker may run the connections."""

    def __init__(
        self,
        presence: Presence,
        lock: LockFile,
        stale_after: float,
        clock: Clock,
        on_lost: Callable[[str], object],
    ) -> None:
        self._presence = presence
        self._lock = lock
        self._stale_after = stale_after
        self._clock = clock
        self._on_lost = on_lost
        self._tenure = Tenure(ttl=LEASE_TTL)
        self._in_order = InOrder()
        self._thread = OwnThread()
        #: Looks at a renewal that waits for its answer; time spent frozen does not count.
        self._looks: int | None = None
        #: Set while the lease is held.
        self.held = Event()
        self.is_standby = False

    def may_connect(self) -> bool:
        """Whether sessions may be opened now."""
        return self._tenure.may_connect(self._clock.now())

    @property
    def has_standby(self) -> bool:
        """Whether another worker stood by when the database answered last."""
        return self._tenure.has_standby

    def has_run_out(self) -> bool:
        """Whether the lease was held and somebody may have taken it over by now."""
        return self.held.is_set() and not self.may_connect()

    def check(self) -> None:
        """Let go in time, even while a renewal waits for its answer: every CHECK_INTERVAL."""
        if self._looks is not None:
            self._looks += 1
            if self._looks * CHECK_INTERVAL >= SILENT_AFTER:
                self._tenure = self._tenure.unanswered()
        if self.held.is_set() and self._tenure.must_yield(self._clock.now()):
            self._on_lost("the lease ran out or was taken over by another worker")

    def renew(self) -> None:
        """Ask the database once; called every LEASE_INTERVAL. Raises SQLAlchemyError."""
        self._in_order.do(self._renew)

    def _renew(self) -> None:
        asked_at = self._clock.now()
        token = self._lock.token if self._lock.acquire() else None
        self._looks = 0
        try:
            answer = self._thread.do(self._presence.hold_lease, LEASE_TTL, self._stale_after, token)
        except SQLAlchemyError:
            self._tenure = self._tenure.unanswered()
            self.check()
            raise
        finally:
            self._looks = None
        self._tenure = self._tenure.answered(answer, asked_at)
        if answer.is_held:
            self.is_standby = False
            self.held.set()
        elif not self.held.is_set() and not self.is_standby:
            self.is_standby = True
            log.info("another worker runs the connections, standing by")
        self.check()

    def lost(self) -> None:
        """Ask once more: the database refused a write because of the lease.

        A database file that was put in the place of ours knows nothing of our lease, and
        gives it to us. Otherwise another worker has taken it over.
        """
        with suppress(SQLAlchemyError):
            self.renew()

    def release(self) -> None:
        """Give the lease up, so that a standby takes over at once."""
        self._in_order.do(lambda: self._thread.do(self._presence.release_lease))
        self._lock.release()
