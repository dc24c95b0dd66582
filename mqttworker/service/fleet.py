"""What connections to the same broker learn from each other, and what is said once for all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import gevent
import structlog

from database.words import ConnectionState as State
from database.words import Origin
from mqttworker.core import events, fleet
from mqttworker.core.life import Life
from mqttworker.core.limiter import Broker, ConnectLimiter, LossWatch
from mqttworker.core.spec import ConnectionSpec

log = structlog.get_logger(__name__)

#: Time between two looks at losses that are not concluded yet, seconds.
TELL_INTERVAL = 0.5

#: What a connection is in for a reason of its own.
OWN_TROUBLES = frozenset({State.REFUSED, State.COOLDOWN, State.CONFIG_ERROR})


class Member(Protocol):
    """A connection manager."""

    def post(self, event: events.Event) -> None:
        """Let it handle `event` soon."""


@dataclass(slots=True)
class _Waiter:
    """A connection that tries again at `due_at` by itself, or sooner once the broker serves."""

    member: Member
    due_at: float
    #: Which neighbour called it to try sooner, and since when that one has its session.
    called_by: tuple[int, float] | None = None


class Fleet:
    """Follows every life; wakes those who wait for a broker that is back."""

    def __init__(self, limiter: ConnectLimiter, now: Callable[[], float]) -> None:
        self._limiter = limiter
        self._now = now
        self._losses = LossWatch()
        self._seen = fleet.Fleet()
        self._members: dict[int, Member] = {}
        #: Who waits after a short session, or for a broker that is back, and until when.
        self._waiters: dict[Broker, dict[int, _Waiter]] = {}
        #: When they were last called.
        self._called_at: dict[Broker, float] = {}
        self._teller: gevent.Greenlet[[], None] | None = None

    def hear_of_loss(self, spec: ConnectionSpec) -> None:
        """Note a loss before anybody judges it: what is lost together is judged together."""
        now = self._now()
        self._losses.lost(spec.broker, spec.connection_id, now)
        self._seen.was_lost(spec.broker, spec.connection_id, now)
        if self._teller is None or self._teller.dead:
            self._teller = gevent.spawn(self._tell)

    def has_died(self, spec: ConnectionSpec) -> None:
        """Forget a connection whose greenlet met an error of ours: it does not wait any more."""
        self._members.pop(spec.connection_id, None)
        self._waiters.get(spec.broker, {}).pop(spec.connection_id, None)
        self._seen.has_left(spec.broker, spec.connection_id, self._now())
        self._limiter.forget(spec.broker, spec.connection_id)

    def keep_only(self, wanted: set[Broker]) -> None:
        """Forget the brokers that no record uses any more."""
        for each in (self._limiter, self._losses, self._seen):
            each.keep_only(wanted)
        for broker in self._waiters.keys() - wanted:
            del self._waiters[broker]
            self._called_at.pop(broker, None)

    def is_alone(self, spec: ConnectionSpec) -> bool:
        """Whether no other connection to the same broker was lost a moment ago."""
        return self._losses.is_alone(spec.broker, spec.connection_id, self._now())

    def lost_beside(self, spec: ConnectionSpec) -> list[int]:
        """Return which other connections to the same broker were lost a moment ago, two at most."""
        return self._losses.lost_beside(spec.broker, spec.connection_id, self._now())

    def earliest_try(self, spec: ConnectionSpec, now: float) -> float:
        """Return when `spec` may try again: `now`, which begins the try, or later."""
        waiter = self._waiters.get(spec.broker, {}).get(spec.connection_id)
        if waiter and waiter.called_by is not None and now < waiter.due_at:
            called_by, waiter.called_by = waiter.called_by, None
            if not self._seen.serves(spec.broker, *called_by):
                # Who called has lost its session again.
                return waiter.due_at
        return self._limiter.earliest(spec.broker, spec.connection_id, now)

    def follow(
        self,
        member: Member,
        spec: ConnectionSpec,
        change: tuple[Life, Life],
        event: events.Event,
    ) -> bool:
        """Take note of a change (before, after); return whether it is told once for all."""
        before, life = change
        if life.state is before.state and life.why is before.why and not life.is_over:
            return False  # only its moment has changed
        now = self._now()
        shared = self._seen.is_shared(spec.broker, spec.connection_id)
        self._pace(spec, change, event, now)
        if before.is_up and not life.is_up:
            self._went_down(spec, event, now)
        elif life.is_up and not before.is_up:
            self._came_up(spec, now)
        began_at = before.since if before.state is State.CONNECTING else now
        self._wait_or_not(member, spec, life, began_at)
        self._say()
        return shared or self._seen.is_shared(spec.broker, spec.connection_id)

    def _pace(
        self, spec: ConnectionSpec, change: tuple[Life, Life], event: events.Event, now: float
    ) -> None:
        """Let the limiter know what the change says of the broker."""
        before, life = change
        if before.state is State.CONNECTING and life.state is not State.CONNECTING:
            self._limiter.answered(spec.broker, spec.connection_id, now)
        if life.is_cut_off and not before.is_cut_off and not self._seen.has_sessions(spec.broker):
            self._limiter.is_reached(spec.broker, False, now)
        elif _has_answered(event) and not life.is_cut_off:
            self._limiter.is_reached(spec.broker, True, now)
        if life.pleas > before.pleas:
            self._limiter.slow_down(spec.broker, now)
        if life.is_over:
            self._limiter.forget(spec.broker, spec.connection_id)

    def _went_down(self, spec: ConnectionSpec, event: events.Event, now: float) -> None:
        if not self._seen.is_up(spec.broker, spec.connection_id):
            return  # heard of before
        if isinstance(event, events.Lost | events.Broken):
            self.hear_of_loss(spec)
        else:
            self._seen.is_down(spec.broker, spec.connection_id, now)

    def _came_up(self, spec: ConnectionSpec, now: float) -> None:
        woken = self._seen.came_up(spec.broker, spec.connection_id, now)
        for connection_id in woken:
            slot = self._limiter.promise(spec.broker, connection_id, now)
            self._members[connection_id].post(events.Sooner(slot))
        if not woken:
            self._call(spec, now)

    def _call(self, spec: ConnectionSpec, now: float) -> None:
        """Let those who wait try soon, if the session that `spec` has since `now` stands then."""
        if now - self._called_at.get(spec.broker, float("-inf")) < fleet.WAKE_GAP:
            return
        self._called_at[spec.broker] = now
        for waiter in self._waiters.get(spec.broker, {}).values():
            if now + fleet.SERVES_AFTER < waiter.due_at:
                waiter.called_by = spec.connection_id, now
                waiter.member.post(events.Sooner(now + fleet.SERVES_AFTER))

    def _wait_or_not(
        self, member: Member, spec: ConnectionSpec, life: Life, began_at: float
    ) -> None:
        now = self._now()
        broker, connection_id = spec.broker, spec.connection_id
        waiters = self._waiters.setdefault(broker, {})
        if (life.is_cut_off or life.is_flapping) and life.due_at is not None:
            waiters[connection_id] = _Waiter(member, life.due_at)
        else:
            waiters.pop(connection_id, None)
        if life.is_cut_off:
            if connection_id not in self._members:
                self._members[connection_id] = member
                if self._seen.waits(broker, connection_id, began_at, now):
                    member.post(events.Sooner(now))
            return
        self._members.pop(connection_id, None)
        self._seen.waits_no_more(broker, connection_id)
        if life.is_over:
            self._seen.has_left(broker, connection_id, now)
        elif life.state in OWN_TROUBLES:
            self._seen.is_down(broker, connection_id, now)

    def _tell(self) -> None:
        """Conclude what time decides, until nothing is left."""
        while self._seen.judge(self._now()):
            self._say()
            gevent.sleep(TELL_INTERVAL)
        self._say()
        self._teller = None

    def _say(self) -> None:
        while self._seen.notices:
            notice = self._seen.notices.pop(0)
            host, port = notice.broker
            level = log.warning if isinstance(notice, fleet.Lost) else log.info
            level(str(notice), broker=f"{host}:{port}")


def _has_answered(event: events.Event) -> bool:
    """Whether the broker has said anything, if only no."""
    if isinstance(event, events.Failed):
        return event.why.origin is Origin.BROKER
    return isinstance(event, events.Opened)
