"""Spreads the CONNECTs to one broker, so that its return is not met by a storm."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

Broker = tuple[str, int]
#: When, and which connection.
Loss = tuple[float, int]

_NEVER: Loss = (float("-inf"), 0)

#: No stretch of time this long may see more than its share of tries, seconds ...
WINDOW = 0.1
#: ... which is a little more than the even pace gives it: clocks and queues have jitter.
SHARE = 1.1
#: A try that has no answer after this long does not keep others from trying, seconds.
PATIENCE = 2.0
#: How long a slower pace lasts before it is doubled again, seconds.
RECOVERY = 30.0
#: Pleas for patience within this are one, seconds.
ONE_PLEA = 5.0
#: The pace is never halved more often than this.
MOST_HALVINGS = 6
#: Tries at a broker that nobody reaches: enough to see at once that it is back.
SCOUTS_A_SECOND = 20
#: Scouts are appointed for so long ahead; all others ask again then if nobody has called
#: them before, seconds.
ASK_AGAIN = 5.0


@dataclass(slots=True)
class _Pace:
    """What one broker has been asked lately, and what is planned."""

    next_slot: float = 0.0
    #: Moments that were promised to connections.
    slots: dict[int, float] = field(default_factory=dict)
    #: Tries that have no answer yet and when they began, oldest first.
    in_flight: dict[int, float] = field(default_factory=dict)
    #: When the tries of the last WINDOW were answered.
    answered: deque[float] = field(default_factory=deque)
    halvings: int = 0
    changed_at: float = float("-inf")
    #: Nobody has a session there, and nobody reaches it.
    is_down: bool = False


class ConnectLimiter:
    """Gives each try its moment: evenly `1 / rate` seconds apart for each broker.

    A moment that was missed, because the hub stalled or the broker is slow, is not made
    up for: at most `rate * WINDOW * SHARE` tries are in flight or were answered within any
    WINDOW, so the broker never accepts more than that in as much time. A broker that is
    down is only asked by a few scouts. First tries of a record do not ask: they meet a
    broker that has not just failed.
    """

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._paces: dict[Broker, _Pace] = {}

    def earliest(self, broker: Broker, connection_id: int, now: float) -> float:
        """Return when the connection may try: `now`, which begins the try, or later."""
        pace = self._pace(broker, now)
        slot = self._slot(pace, connection_id, now)
        if slot <= now:
            pace.slots.pop(connection_id, None)
            pace.in_flight.pop(connection_id, None)
            pace.in_flight[connection_id] = now
        return slot

    def _slot(self, pace: _Pace, connection_id: int, now: float) -> float:
        slot = pace.slots.get(connection_id)
        if slot is None:
            if pace.is_down and pace.next_slot - now > ASK_AGAIN:
                return now + ASK_AGAIN
            slot = self._promise(pace, connection_id, now)
        if slot <= now and self._is_crowded(pace, now):
            pace.next_slot = max(pace.next_slot, now + self._interval(pace))
            slot = self._promise(pace, connection_id, now)
        return max(slot, now)

    def promise(self, broker: Broker, connection_id: int, now: float) -> float:
        """Return the next free moment, which is now the connection's."""
        return self._promise(self._pace(broker, now), connection_id, now)

    def answered(self, broker: Broker, connection_id: int, now: float) -> None:
        """Note that a try has ended, one way or the other."""
        pace = self._pace(broker, now)
        pace.in_flight.pop(connection_id, None)
        _drop_old(pace.answered, now)
        pace.answered.append(now)

    def forget(self, broker: Broker, connection_id: int) -> None:
        """Take back what was promised to a connection that does not wait any more."""
        if (pace := self._paces.get(broker)) is not None:
            pace.slots.pop(connection_id, None)
            pace.in_flight.pop(connection_id, None)

    def keep_only(self, wanted: set[Broker]) -> None:
        """Forget the brokers that no record uses any more."""
        for broker in self._paces.keys() - wanted:
            del self._paces[broker]

    def is_reached(self, broker: Broker, reached: bool, now: float) -> None:
        """Note whether the broker answers anybody."""
        pace = self._pace(broker, now)
        if pace.is_down == reached:
            pace.is_down = not reached
            # Promised at the other pace: whoever comes for it is given another moment.
            pace.slots.clear()
            pace.next_slot = now

    def slow_down(self, broker: Broker, now: float) -> None:
        """Halve the pace for a while: the broker asked for patience."""
        pace = self._pace(broker, now)
        if now - pace.changed_at >= ONE_PLEA:
            pace.halvings = min(pace.halvings + 1, MOST_HALVINGS)
            pace.changed_at = now

    def _pace(self, broker: Broker, now: float) -> _Pace:
        pace = self._paces.setdefault(broker, _Pace())
        while pace.halvings and now - pace.changed_at >= RECOVERY:
            pace.halvings -= 1
            pace.changed_at += RECOVERY
        return pace

    def _interval(self, pace: _Pace) -> float:
        interval = (1 << pace.halvings) / self._rate
        return max(interval, 1 / SCOUTS_A_SECOND) if pace.is_down else interval

    def _promise(self, pace: _Pace, connection_id: int, now: float) -> float:
        slot = max(now, pace.next_slot)
        pace.next_slot = slot + self._interval(pace)
        pace.slots[connection_id] = slot
        return slot

    def _is_crowded(self, pace: _Pace, now: float) -> bool:
        _drop_old(pace.answered, now)
        waiting = pace.in_flight
        while waiting and waiting[oldest := next(iter(waiting))] <= now - PATIENCE:
            del waiting[oldest]
        room = max(1, int(WINDOW * SHARE * self._rate / (1 << pace.halvings)))
        return len(waiting) + len(pace.answered) >= room


def _drop_old(answered: deque[float], now: float) -> None:
    while answered and answered[0] <= now - WINDOW:
        answered.popleft()


class LossWatch:
    """Knows whether connections to one broker are lost together.

    Then the broker or the network is the reason, not the connection.
    """

    #: Losses this close to each other belong together.
    TOGETHER = 2.0  # seconds

    def __init__(self) -> None:
        #: For each broker the last loss, and the last one of another connection.
        self._last: dict[Broker, tuple[Loss, Loss]] = {}

    def lost(self, broker: Broker, connection_id: int, now: float) -> None:
        """Note a loss."""
        last, other = self._last.get(broker, (_NEVER, _NEVER))
        if last[1] != connection_id:
            other = last
        self._last[broker] = ((now, connection_id), other)

    def keep_only(self, wanted: set[Broker]) -> None:
        """Forget the brokers that no record uses any more."""
        for broker in self._last.keys() - wanted:
            del self._last[broker]

    def is_alone(self, broker: Broker, connection_id: int, now: float) -> bool:
        """Whether no other connection to `broker` was lost a moment ago."""
        return not self.lost_beside(broker, connection_id, now)

    def lost_beside(self, broker: Broker, connection_id: int, now: float) -> list[int]:
        """Return which other connections to `broker` were lost a moment ago, two at most."""
        return [
            other
            for at, other in self._last.get(broker, ())
            if other != connection_id and now - at <= self.TOGETHER
        ]
