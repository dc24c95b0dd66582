"""Many lives, one broker, and time that passes as fast as it can be computed.

The lives, the limiter and the fleet are the real ones; the broker and the clock are not.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from database.words import WAITING_STATES
from mqttworker.core import events
from mqttworker.core.cause import cause
from mqttworker.core.life import Life, step
from mqttworker.core.limiter import ConnectLimiter
from mqttworker.core.spec import ConnectionSpec
from mqttworker.service.fleet import Fleet

HOST, PORT = "broker.example", 1883
#: Seconds until a port without a server refuses, and until a good broker accepts.
REFUSES_AFTER, ACCEPTS_AFTER = 0.001, 0.005
CONNECT_TIMEOUT = 10.0


@dataclass
class Broker:
    """What a try meets now. Change its attributes at any time."""

    is_up = True
    #: While it is down: nothing answers, instead of a refusal.
    is_black_hole = False
    #: How each session is lost after so many seconds, None if it is not.
    loses: tuple[float, events.Lost] | None = None
    #: Answers each CONNECT with this instead of accepting.
    refusal: str | None = None


@dataclass(eq=False)
class Connection:
    """One record: as the manager would, it feeds its life and does what it asks."""

    world: World
    spec: ConnectionSpec
    life: Life
    #: Moments of its tries, and of those that were accepted.
    tried: list[float] = field(default_factory=list)
    accepted: list[float] = field(default_factory=list)
    generation: int = 0

    def post(self, event: events.Event) -> None:
        """Handle `event` in a moment."""
        self.world.after(0.0, partial(self.handle, event))

    def handle(self, event: events.Event) -> None:
        """Let `event` happen now."""
        world, before = self.world, self.life
        self.life, commands = step(before, event, world.now, world.draw.random())
        world.fleet.follow(self, self.spec, (before, self.life), event)
        for command in commands:
            if isinstance(command, events.Open):
                self.generation += 1
                self.tried.append(world.now)
                world.meet(self)
        if self.life.due_at is not None and self.life.due_at != before.due_at:
            world.at(self.life.due_at, self.when_due)

    def when_due(self) -> None:
        """Try if the time has come and the limiter allows it."""
        if self.life.due_at is None or self.life.due_at > self.world.now:
            return
        if self.life.state in WAITING_STATES:
            until = self.world.fleet.earliest_try(self.spec, self.world.now)
            if until > self.world.now:
                self.handle(events.Postponed(until))
                return
        self.handle(events.Due())

    def report(self, generation: int, event: events.Event) -> None:
        """Take what became of a session."""
        if generation != self.generation:
            return
        if isinstance(event, events.Opened):
            self.accepted.append(self.world.now)
        if isinstance(event, events.Lost) and self.life.is_up:
            self.world.fleet.hear_of_loss(self.spec)
        self.handle(event)


class World:
    """A clock, a broker and `count` connections, each in its first session."""

    def __init__(self, count: int, seed: int, rate: float = 400.0) -> None:
        self.now = 1000.0
        self.draw = random.Random(seed)
        self.broker = Broker()
        self.fleet = Fleet(ConnectLimiter(rate), lambda: self.now)
        self._queue: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self.connections = [self._connection(number) for number in range(count)]
        for connection in self.connections:
            connection.handle(events.Start(cause("enabled")))

    def _connection(self, number: int) -> Connection:
        spec = ConnectionSpec(number, HOST, PORT, f"site_{number}", protocol="5")
        return Connection(self, spec, Life("5", CONNECT_TIMEOUT))

    def at(self, moment: float, what: Callable[[], object]) -> None:
        """Do something at a moment, now if that has passed."""
        heapq.heappush(self._queue, (max(self.now, moment), next(self._order), what))

    def after(self, seconds: float, what: Callable[[], object]) -> None:
        """Do something in so many seconds."""
        self.at(self.now + seconds, what)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            self.now, _, what = heapq.heappop(self._queue)
            what()
        self.now = end

    def meet(self, connection: Connection) -> None:
        """Let a try arrive at the broker as it is now."""
        report = partial(connection.report, connection.generation)
        if self.broker.is_up and self.broker.refusal is None:
            self.after(ACCEPTS_AFTER, partial(report, events.Opened("5")))
            if self.broker.loses is not None:
                seconds, lost = self.broker.loses
                self.after(ACCEPTS_AFTER + seconds, partial(report, lost))
        elif self.broker.is_up:
            self.after(
                ACCEPTS_AFTER, partial(report, events.Failed(cause(self.broker.refusal or "")))
            )
        elif self.broker.is_black_hole:
            self.after(CONNECT_TIMEOUT, partial(report, events.Failed(cause("tcp_timeout"))))
        else:
            self.after(REFUSES_AFTER, partial(report, events.Failed(cause("tcp_refused"))))

    def take_down(self, *, black_hole: bool = False) -> None:
        """End the broker, and with it every session."""
        self.broker.is_up, self.broker.is_black_hole = False, black_hole
        lost = events.Lost(cause("peer_closed"), alone=False, door_open=False)
        up = [connection for connection in self.connections if connection.life.is_up]
        for connection in up:
            self.fleet.hear_of_loss(connection.spec)
        for connection in up:
            connection.handle(lost)

    def bring_back(self) -> float:
        """Start the broker; return when."""
        self.broker.is_up = True
        return self.now

    def waits_since(self, moment: float) -> list[float]:
        """Return how long after `moment` each connection was accepted; infinity if it was not."""
        never = [float("inf")]
        return [
            min([at - moment for at in connection.accepted if at >= moment] or never)
            for connection in self.connections
        ]

    def accepted_since(self, moment: float) -> list[float]:
        """Return when the broker accepted anybody since `moment`."""
        return [at for each in self.connections for at in each.accepted if at >= moment]

    def shortest_gap(self) -> float:
        """Return the shortest time between two tries of one connection."""
        gaps = [b - a for each in self.connections for a, b in itertools.pairwise(each.tried)]
        return min(gaps)
