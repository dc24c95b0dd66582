"""Does traffic flow? A message to ourselves through the broker, sent now and then.

One that does not come back in time is a miss, the second miss in a row the end: a
session can stand, and answer pings, while a broker delivers nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: A message must be back within the interval, and within this, seconds.
PATIENCE = 10.0
#: Misses in a row that end the session.
MISSES = 2


@dataclass(frozen=True, slots=True)
class SelfPing:
    """Where the self-ping of one session stands; times are monotonic seconds."""

    interval: float
    #: When the next one is sent, or, while one is on its way, when it is given up.
    due_at: float
    #: The message on its way, None between two.
    sent_at: float | None = None
    number: int = 0
    misses: int = 0

    @property
    def patience(self) -> float:
        """Seconds that a message may take."""
        return min(self.interval, PATIENCE)

    @property
    def is_broken(self) -> bool:
        """Whether too many are missing."""
        return self.misses >= MISSES


def begin(interval: float, now: float) -> SelfPing:
    """Return the self-ping of a new session; the first message is due at once."""
    return SelfPing(interval, due_at=now)


def sent(ping: SelfPing, now: float) -> SelfPing:
    """Return what follows once the next message is out."""
    return replace(ping, sent_at=now, number=ping.number + 1, due_at=now + ping.patience)


def missed(ping: SelfPing, now: float) -> SelfPing:
    """Return what follows when the message on its way is given up; the next goes at once."""
    return replace(ping, sent_at=None, misses=ping.misses + 1, due_at=now)


def postponed(ping: SelfPing, now: float) -> SelfPing:
    """Return what follows when the message on its way could not have been heard."""
    return replace(ping, sent_at=None, due_at=now + ping.patience)


def returned(ping: SelfPing, number: int, now: float) -> tuple[SelfPing, float | None]:
    """Return what follows when message `number` is back, and its seconds, None if too late."""
    if ping.sent_at is None or number != ping.number:
        return ping, None
    took = now - ping.sent_at
    due_at = max(now, ping.sent_at + ping.interval)
    return replace(ping, sent_at=None, misses=0, due_at=due_at), took
