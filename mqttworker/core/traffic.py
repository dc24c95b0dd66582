"""What a connection carries, counted, and the Topic Filters by which messages come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from mqttworker.core.topics import matches

#: The lengths of time that traffic is kept for, seconds: minutes and quarter hours.
MINUTE, QUARTER = 60, 900
#: A topic that is longer than this is looked up each time, characters.
LONGEST_REMEMBERED = 200


@dataclass(slots=True)
class Counts:
    """Messages and payload bytes."""

    messages_in: int = 0
    bytes_in: int = 0
    messages_out: int = 0
    bytes_out: int = 0
    messages_dropped: int = 0
    bytes_dropped: int = 0

    def __bool__(self) -> bool:
        return bool(self.messages_in or self.messages_out or self.messages_dropped)

    def add(self, other: Counts) -> None:
        """Add what `other` counted."""
        self.messages_in += other.messages_in
        self.bytes_in += other.bytes_in
        self.messages_out += other.messages_out
        self.bytes_out += other.bytes_out
        self.messages_dropped += other.messages_dropped
        self.bytes_dropped += other.bytes_dropped


@dataclass(frozen=True, slots=True)
class Stretch:
    """A minute or a quarter hour."""

    seconds: int
    starts_at: datetime


def stretches(moment: datetime) -> tuple[Stretch, ...]:
    """Return the minute and the quarter hour that `moment` lies in."""
    return tuple(
        Stretch(seconds, datetime.fromtimestamp(moment.timestamp() // seconds * seconds, UTC))
        for seconds in (MINUTE, QUARTER)
    )


def matching(filters: tuple[str, ...], topic: str) -> tuple[int, ...]:
    """Return which of `filters` match `topic`, by their places."""
    # Topics repeat; how many are remembered is bounded over all connections.
    return (_remembered if len(topic) <= LONGEST_REMEMBERED else _matching)(filters, topic)


def _matching(filters: tuple[str, ...], topic: str) -> tuple[int, ...]:
    return tuple(place for place, each in enumerate(filters) if matches(each, topic))


_remembered = lru_cache(maxsize=32_768)(_matching)
