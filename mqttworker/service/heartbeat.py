"""The heartbeat: who runs, since when, how many connections, and how late the hub is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import gevent
from sqlalchemy.exc import SQLAlchemyError

from database.version import VERSION
from database.words import WorkerState
from mqttworker.adapters import process
from mqttworker.core.who import Who
from mqttworker.ports.journal import Beat, Waiting
from mqttworker.ports.store import Presence
from mqttworker.service.manager import MQTTConnectionManager
from mqttworker.service.threads import InOrder, in_thread

#: Time between two looks at how late the hub is, seconds.
LAG_INTERVAL = 0.25


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process this is."""

    hostname: str
    boot_id: str

    @property
    def worker_id(self) -> str:
        """How people know the process; the boot id alone is unique."""
        return f"{self.hostname}-{process.pid()}"

    @property
    def who(self) -> Who:
        """What this process leaves at the brokers."""
        return Who(self.worker_id, self.hostname, process.pid(), self.boot_id)


class Heartbeat:
    """Writes one row about this process."""

    def __init__(
        self,
        presence: Presence,
        identity: Identity,
        managers: Callable[[], list[MQTTConnectionManager]],
        waiting: Callable[[], Waiting],
    ) -> None:
        self._presence = presence
        self._identity = identity
        self._managers = managers
        self._waiting = waiting
        self._started_at = datetime.now(UTC)
        self._worst_lag = 0.0
        self._in_order = InOrder()
        self.state = WorkerState.STARTING

    def enter(self, state: WorkerState) -> None:
        """Change the state and say so at once."""
        self.state = state
        self.beat()

    def beat(self) -> None:
        """Write the row. Raises SQLAlchemyError."""
        self._in_order.do(self._beat)

    def _beat(self) -> None:
        managers = self._managers()
        lag, self._worst_lag = self._worst_lag, 0.0
        beat = Beat(
            worker_id=self._identity.worker_id,
            hostname=self._identity.hostname,
            pid=process.pid(),
            boot_id=self._identity.boot_id,
            version=VERSION,
            started_at=self._started_at,
            state=self.state,
            hub_lag_ms=round(lag * 1000, 1),
            rss_bytes=process.rss_bytes(),
            connections=len(managers),
            connected=sum(manager.is_up for manager in managers),
            waiting=self._waiting(),
        )
        try:
            in_thread(self._presence.beat, beat)
        except SQLAlchemyError:
            # Whoever reads the next beat wants to know how it was until then.
            self._worst_lag = max(self._worst_lag, lag)
            raise

    def watch_hub(self) -> None:
        """Measure for ever how much later than asked the hub wakes a greenlet."""
        while True:
            asked = time.monotonic()
            gevent.sleep(LAG_INTERVAL)
            self._worst_lag = max(self._worst_lag, time.monotonic() - asked - LAG_INTERVAL)
