"""What every part of the service shares."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mqttworker.core.spec import ConnectionSpec
from mqttworker.core.who import Who
from mqttworker.ports.transport import Transport
from mqttworker.service.doors import Doors
from mqttworker.service.fleet import Fleet
from mqttworker.service.journal import Journal
from mqttworker.service.ledger import Counted
from mqttworker.service.shared_logins import SharedLogins

if TYPE_CHECKING:
    from mqttworker.service.intake import Intake

#: Wait before the lease is asked for again, seconds.
LEASE_RETRY = 0.25


@dataclass(frozen=True)
class Clock:
    """Monotonic time decides, wall-clock time is only shown."""

    monotonic: Callable[[], float] = time.monotonic

    def now(self) -> float:
        """Return monotonic seconds."""
        return self.monotonic()

    def wall(self, at: float | None = None) -> datetime:
        """Return the UTC moment of monotonic time `at`, or of now."""
        offset = 0.0 if at is None else at - self.monotonic()
        return datetime.now(UTC) + timedelta(seconds=offset)


@dataclass(frozen=True)
class Context:
    """The neighbours of a connection manager."""

    transport: Transport
    journal: Journal
    fleet: Fleet
    #: Whether sessions may be opened now (the lease).
    may_connect: Callable[[], bool]
    doors: Doors
    logins: SharedLogins
    intake: Intake
    #: Which process this is, as it is told at `<status_topic>/who`.
    me: Who
    clock: Clock = field(default_factory=Clock)
    draw: Callable[[], float] = random.random
    #: The tallies with something to write down.
    moved: set[Counted] = field(default_factory=set)

    def earliest_try(self, spec: ConnectionSpec | None, now: float) -> float:
        """Return when a try may begin as far as the lease and the limiter go, `now` if at once.

        In monotonic seconds; to be asked again then.
        """
        if not self.may_connect():
            return now + LEASE_RETRY
        return now if spec is None else self.fleet.earliest_try(spec, now)
