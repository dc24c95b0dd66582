"""A life in each of its states, reached by the events that lead there."""

from __future__ import annotations

from dataclasses import dataclass, field

from database.words import ConnectionState as State
from mqttworker.core import events
from mqttworker.core.cause import cause
from mqttworker.core.life import Life, step

#: What `step` gets as its random number unless a test says otherwise.
DRAW = 0.5
TIMEOUT = 10.0  # seconds


@dataclass
class Walk:
    """A life and its clock, moved by events."""

    now: float = 1000.0
    life: Life = field(default_factory=lambda: Life("5", TIMEOUT))
    commands: tuple[events.Command, ...] = ()

    def on(self, event: events.Event, after: float = 0.0, draw: float = DRAW) -> Walk:
        """Let `event` happen `after` seconds from now."""
        self.now += after
        self.life, self.commands = step(self.life, event, self.now, draw)
        return self

    def due(self) -> Walk:
        """Let the time come that the life waits for."""
        assert self.life.due_at is not None
        self.now = max(self.now, self.life.due_at)
        return self.on(events.Due())

    @property
    def state(self) -> State:
        """Where the life stands."""
        return self.life.state

    @property
    def wait(self) -> float:
        """Seconds until the life moves by itself."""
        assert self.life.due_at is not None
        return self.life.due_at - self.now


def pending(protocol: str = "5") -> Walk:
    """Not started."""
    return Walk(life=Life(protocol, TIMEOUT))


def connecting(protocol: str = "5") -> Walk:
    """In its first try."""
    return pending(protocol).on(events.Start(cause("enabled")))


def connected(protocol: str = "5") -> Walk:
    """In its first session, since just now."""
    return connecting(protocol).on(events.Opened(protocol), after=0.1)


def degraded() -> Walk:
    """In a session with a refused Topic Filter."""
    return connecting().on(events.Opened("5", ("a/#",), 0x87), after=0.1)


def in_backoff() -> Walk:
    """After one failed try."""
    return connecting().on(events.Failed(cause("tcp_refused")), after=0.1)


def refused() -> Walk:
    """After one try that the broker refused for good."""
    return connecting().on(events.Failed(cause("not_authorized")), after=0.1)


def in_cooldown() -> Walk:
    """After the broker named a rival."""
    return connected().on(events.Lost(cause("session_taken_over")), after=1.0)


def in_config_error() -> Walk:
    """With a record that cannot be used."""
    return pending().on(events.Start(cause("enabled"), cause("config_error", field="port")))


def stopping() -> Walk:
    """Saying goodbye."""
    return connected().on(events.Stop(cause("worker_shutdown")), after=5.0)


EVERY_STATE = {
    "pending": pending,
    "connecting": connecting,
    "connected": connected,
    "degraded": degraded,
    "backoff": in_backoff,
    "refused": refused,
    "cooldown": in_cooldown,
    "config_error": in_config_error,
    "stopping": stopping,
}
