"""May this worker run the connections? Judged by its own monotonic clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: A holder with a standby lets go this long before the standby may take over, seconds:
#: its sessions are gone by then.
YIELD_EARLY = 0.5


@dataclass(frozen=True, slots=True)
class LeaseAnswer:
    """What the database said of the lease."""

    is_held: bool
    epoch: int
    #: A live standby was seen in the same transaction.
    has_standby: bool


@dataclass(frozen=True, slots=True)
class Tenure:
    """What this worker knows of its lease."""

    #: Seconds for which an answer of the database is good.
    ttl: float
    #: When the last successful answer was asked for.
    renewed_at: float = float("-inf")
    is_held: bool = False
    has_standby: bool = False
    #: The last attempt to renew failed because the database did not answer.
    is_blind: bool = False

    def answered(self, answer: LeaseAnswer, asked_at: float) -> Tenure:
        """Return the tenure after the database answered a question asked at `asked_at`."""
        return replace(
            self,
            renewed_at=asked_at if answer.is_held else self.renewed_at,
            is_held=answer.is_held,
            has_standby=answer.has_standby,
            is_blind=False,
        )

    def unanswered(self) -> Tenure:
        """Return the tenure after the database did not answer."""
        return replace(self, is_blind=True)

    def may_connect(self, now: float) -> bool:
        """Whether new sessions may be opened.

        A lease that ran out while the database is down still counts if nobody stood by:
        nobody can have taken over, and an outage of the database must not become one of
        the connections. After a freeze the first answer of the database decides.
        """
        if not self.is_held:
            return False
        return now - self.renewed_at < self.ttl or (self.is_blind and not self.has_standby)

    def must_yield(self, now: float) -> bool:
        """Whether the sessions must be dropped: somebody has taken over or is about to.

        It does not matter whether the database has failed or just not answered yet.
        """
        is_ending = now - self.renewed_at >= self.ttl - YIELD_EARLY
        return not self.is_held or (is_ending and self.has_standby)
