"""What the connections to one broker tell about it together.

Two conclusions are drawn. When most of them are lost within seconds, it is the broker or
the network, and that is said once instead of once a connection. When one of them comes up
while others wait because the broker could not be reached, it is back, and nobody needs to
sit out a long wait.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

from mqttworker.core.limiter import Broker

#: Losses belong together until none came for this long, seconds.
QUIET = 2.0
#: As many losses within seconds are told together, whatever share of all they are.
MANY = 10
#: Who is still away this long after the last one came back has a trouble of its own, seconds.
STRAGGLER = 60.0
#: Those who wait are woken so many times in so many seconds, and not again: a broker may
#: restart twice in a row, a flapping one must not cause storms.
WAKES, WAKE_WINDOW = 4, 120.0
#: Least time between two of them, in which those who were woken get their turn, seconds.
WAKE_GAP = 5.0
#: A session that stands for so long shows that the broker serves: then those who wait after
#: short sessions of their own are called, too, and those whom no wake was left for, seconds.
SERVES_AFTER = 3.0


@dataclass(frozen=True, slots=True)
class Lost:
    """So many sessions of a broker ended within `seconds`."""

    broker: Broker
    lost: int
    of: int
    seconds: float

    @property
    def are_most(self) -> bool:
        """Whether that speaks of the broker or the network."""
        return 2 * self.lost > self.of

    def __str__(self) -> str:
        host, port = self.broker
        words = f"{self.lost} of {self.of} connections to {host}:{port} lost within "
        words += f"{math.ceil(max(self.seconds, 1.0))} s"
        return f"{words}: the broker or the network, not the records" if self.are_most else words


@dataclass(frozen=True, slots=True)
class Back:
    """What was lost together is over, `seconds` after the first loss."""

    broker: Broker
    back: int
    lost: int
    seconds: float

    def __str__(self) -> str:
        host, port = self.broker
        many = f"all {self.lost}" if self.back == self.lost else f"{self.back} of {self.lost}"
        words = f"{many} connections to {host}:{port} back after {self.seconds:.1f} s"
        rest = self.lost - self.back
        return f"{words}, {rest} with another trouble" if rest else words


Notice = Lost | Back


@dataclass(slots=True)
class _Outage:
    """Losses that belong together, and what became of the connections."""

    began_at: float
    #: Sessions when it began.
    of: int
    last_loss_at: float
    last_back_at: float = float("-inf")
    lost: set[int] = field(default_factory=set)
    #: Those that have not come back yet.
    down: set[int] = field(default_factory=set)
    back: set[int] = field(default_factory=set)
    is_told: bool = False

    @property
    def is_shared(self) -> bool:
        """Whether it is told once for all."""
        count = len(self.lost)
        return self.is_told or (count >= 2 and (2 * count > self.of or count > MANY))


class _Ration:
    """At most WAKES within any WAKE_WINDOW, WAKE_GAP apart."""

    def __init__(self) -> None:
        self._taken: deque[float] = deque(maxlen=WAKES)

    def take(self, now: float) -> bool:
        """Return whether there was one left, which is taken."""
        is_full = len(self._taken) == WAKES and now - self._taken[0] < WAKE_WINDOW
        if is_full or (self._taken and now - self._taken[-1] < WAKE_GAP):
            return False
        self._taken.append(now)
        return True


@dataclass(slots=True)
class _Broker:
    #: Sessions, and since when.
    up: dict[int, float] = field(default_factory=dict)
    outage: _Outage | None = None
    #: Those who wait because it could not be reached, and since when.
    waiting: dict[int, float] = field(default_factory=dict)
    #: How often those who waited were told that it is back.
    wakes: _Ration = field(default_factory=_Ration)
    #: The same for one whose try had begun before.
    hurries: dict[int, _Ration] = field(default_factory=dict)
    #: When a session last began.
    up_at: float = float("-inf")


class Fleet:
    """Hears of every session's begin and end; `notices` gathers what is worth a line."""

    def __init__(self) -> None:
        self._brokers: dict[Broker, _Broker] = {}
        self.notices: list[Notice] = []

    def came_up(self, broker: Broker, connection_id: int, now: float) -> list[int]:
        """Note a session; return who is to be told that the broker is back, in that order."""
        place = self._brokers.setdefault(broker, _Broker())
        place.up.setdefault(connection_id, now)
        place.up_at = now
        place.waiting.pop(connection_id, None)
        if (outage := place.outage) is not None and connection_id in outage.lost:
            outage.down.discard(connection_id)
            outage.back.add(connection_id)
            outage.last_back_at = now
            self._end_if_over(broker, place, now)
        if not place.waiting or not place.wakes.take(now):
            return []
        return sorted(place.waiting, key=place.waiting.__getitem__)

    def waits(self, broker: Broker, connection_id: int, began_at: float, now: float) -> bool:
        """Note that a connection waits since `now` because the broker could not be reached.

        Return whether it need not: another one came up since its try began at `began_at`.
        """
        place = self._brokers.setdefault(broker, _Broker())
        place.waiting[connection_id] = now
        if place.up_at <= began_at:
            return False
        return place.hurries.setdefault(connection_id, _Ration()).take(now)

    def waits_no_more(self, broker: Broker, connection_id: int) -> None:
        """Note that a connection tries, or waits for another reason."""
        if (place := self._brokers.get(broker)) is not None:
            place.waiting.pop(connection_id, None)

    def was_lost(self, broker: Broker, connection_id: int, now: float) -> None:
        """Note a session that ended without our doing."""
        place = self._brokers.setdefault(broker, _Broker())
        outage = place.outage
        if outage is None or not (outage.is_shared or now - outage.last_loss_at <= QUIET):
            outage = place.outage = _Outage(now, len(place.up.keys() | {connection_id}), now)
        place.up.pop(connection_id, None)
        outage.lost.add(connection_id)
        outage.down.add(connection_id)
        outage.back.discard(connection_id)
        outage.of = max(outage.of, len(outage.lost))
        outage.last_loss_at = now

    def is_down(self, broker: Broker, connection_id: int, now: float) -> None:
        """Note that a connection is down for a reason of its own, whatever the others do."""
        if (place := self._brokers.get(broker)) is not None:
            self._leave(place, connection_id)
            self._end_if_over(broker, place, now)

    def has_left(self, broker: Broker, connection_id: int, now: float) -> None:
        """Note that a connection is not wanted any more."""
        if (place := self._brokers.get(broker)) is None:
            return
        self._leave(place, connection_id)
        if place.outage is not None:
            place.outage.lost.discard(connection_id)
            place.outage.back.discard(connection_id)
            self._end_if_over(broker, place, now)
        if not (place.up or place.waiting or place.outage):
            del self._brokers[broker]

    def keep_only(self, wanted: set[Broker]) -> None:
        """Forget the brokers that no record uses any more."""
        for broker in self._brokers.keys() - wanted:
            del self._brokers[broker]

    def _leave(self, place: _Broker, connection_id: int) -> None:
        place.up.pop(connection_id, None)
        place.waiting.pop(connection_id, None)
        place.hurries.pop(connection_id, None)
        if place.outage is not None:
            place.outage.down.discard(connection_id)

    def is_up(self, broker: Broker, connection_id: int) -> bool:
        """Whether the connection has a session, as far as has been told."""
        place = self._brokers.get(broker)
        return place is not None and connection_id in place.up

    def has_sessions(self, broker: Broker) -> bool:
        """Whether anybody has a session with the broker."""
        place = self._brokers.get(broker)
        return place is not None and bool(place.up)

    def serves(self, broker: Broker, connection_id: int, since: float) -> bool:
        """Whether the session that the connection has since then stands yet."""
        place = self._brokers.get(broker)
        return place is not None and place.up.get(connection_id) == since

    def is_shared(self, broker: Broker, connection_id: int) -> bool:
        """Whether what happens to the connection is part of what is told once for all."""
        place = self._brokers.get(broker)
        outage = place.outage if place is not None else None
        return outage is not None and outage.is_shared and connection_id in outage.lost

    def judge(self, now: float) -> bool:
        """Conclude what time alone decides; return whether anything is left to judge later."""
        for broker, place in self._brokers.items():
            if (outage := place.outage) is not None and now - outage.last_loss_at >= QUIET:
                self._judge(broker, place, outage, now)
        return any(place.outage is not None for place in self._brokers.values())

    def _judge(self, broker: Broker, place: _Broker, outage: _Outage, now: float) -> None:
        if not outage.is_shared:
            place.outage = None
            return
        if not outage.is_told:
            outage.is_told = True
            seconds = outage.last_loss_at - outage.began_at
            self.notices.append(Lost(broker, len(outage.lost), outage.of, seconds))
        self._end_if_over(broker, place, now)

    def _end_if_over(self, broker: Broker, place: _Broker, now: float) -> None:
        outage = place.outage
        if outage is None or not outage.is_told:
            return
        if outage.down and now - max(outage.last_back_at, outage.last_loss_at) < STRAGGLER:
            return
        if outage.down and not outage.back:
            # Nobody is back: it goes on.
            return
        place.outage = None
        if not outage.lost:
            # Nobody of them is wanted any more.
            return
        ended_at = outage.last_back_at if outage.back else now
        back, lost = len(outage.back), len(outage.lost)
        self.notices.append(Back(broker, back, lost, ended_at - outage.began_at))
