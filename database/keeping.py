"""How long and how much of messages is kept: one rule for the worker, which removes what is
beyond it, and the web, which tells it.

A record's own days replace the installation's, be they fewer or more. A record's own
megabytes bound that record; the installation's bound all messages together, whatever
records say: they guard the disk. Of a connection that was deleted nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from database.rules import MAX_KEEP_DAYS, MAX_KEEP_MB

#: Bytes of topics and payloads.
MEGABYTE = 1_000_000


@dataclass(frozen=True, slots=True)
class Own:
    """What one record says; 0 where it leaves it to the installation."""

    days: int = 0
    megabytes: int = 0

    @classmethod
    def read(cls, days: Any, megabytes: Any) -> Self:
        """Read what a row holds; plain SQL may have left anything there."""
        return cls(_whole(days, MAX_KEEP_DAYS), _whole(megabytes, MAX_KEEP_MB))

    @property
    def bytes(self) -> int:
        """The most that is kept of the record, 0 for no limit of its own."""
        return self.megabytes * MEGABYTE


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the installation and of every record that there is."""

    days: int
    megabytes: int
    own: Mapping[int, Own]

    @property
    def bytes(self) -> int:
        """The most that is kept of all messages together."""
        return self.megabytes * MEGABYTE

    def days_of(self, connection_id: int) -> int:
        """Return for how many days messages of a connection are kept; 0 if it was deleted."""
        own = self.own.get(connection_id)
        return 0 if own is None else own.days or self.days

    @property
    def longest(self) -> int:
        """Days after which no connection keeps anything."""
        return max(map(self.days_of, self.own), default=0)


def _whole(value: Any, most: int) -> int:
    return min(value, most) if isinstance(value, int) and value > 0 else 0
