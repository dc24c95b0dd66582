"""How long a connection was up, from its transitions. Pure; all times are aware.

A moment is up, degraded, down, disabled or unknown. Unknown is the time before the first
transition, while no worker looked after the connection, a short start, and after the last
word of a worker that fell silent. Uptime is up and degraded time by wanted time, which leaves
disabled and unknown time out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice

from database.words import DOWN_STATES, UP_STATES, ConnectionState, Origin


class Kind(StrEnum):
    """What a moment counts as."""

    UP = "up"
    DEGRADED = "degraded"
    DOWN = "down"
    DISABLED = "disabled"
    UNKNOWN = "unknown"


#: How long a start may take before it counts as down: as long as health tells nobody.
START_WITHIN = timedelta(seconds=10)
_STARTS = frozenset({"worker_start", "enabled"})
_WRONG = frozenset({Kind.DOWN, Kind.DEGRADED})
#: Reasons that a bucket tells at most.
MOST_REASONS = 3
#: After these nobody looks after the connection until a worker says so.
_UNATTENDED = frozenset({"worker_died", "worker_shutdown", "lease_lost"})
_KINDS: dict[str, Kind] = {
    **dict.fromkeys(DOWN_STATES, Kind.DOWN),
    # On its way in, or out for an edit.
    ConnectionState.PENDING: Kind.DOWN,
    ConnectionState.STOPPING: Kind.DOWN,
    ConnectionState.CONNECTED: Kind.UP,
    ConnectionState.DEGRADED: Kind.DEGRADED,
    ConnectionState.DISABLED: Kind.DISABLED,
}


@dataclass(frozen=True, slots=True)
class Mark:
    """One transition."""

    at: datetime
    state: str
    previous_state: str | None
    reason_code: str
    origin: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A time of one kind; what was wrong in it has one reason."""

    start: datetime
    end: datetime
    kind: Kind
    reason_code: str = ""

    @property
    def seconds(self) -> float:
        return (self.end - self.start).total_seconds()


@dataclass(frozen=True, slots=True)
class Uptime:
    """The figures of a stretch of time, seconds."""

    up_s: float
    degraded_s: float
    down_s: float
    disabled_s: float
    #: Sessions lost that neither an operator nor a clean stop ended.
    failures: int

    @property
    def wanted_s(self) -> float:
        return self.up_s + self.degraded_s + self.down_s

    @property
    def percent(self) -> float | None:
        """Up and degraded time by wanted time; None where nothing is known."""
        if not self.wanted_s:
            return None
        if not self.down_s:
            return 100.0  # exactly, whatever the division rounds to
        return 100.0 * (self.up_s + self.degraded_s) / self.wanted_s

    @property
    def mtbf_s(self) -> float | None:
        """Mean time between failures; None without one."""
        return (self.up_s + self.degraded_s) / self.failures if self.failures else None


@dataclass(frozen=True, slots=True)
class Bucket:
    """An equal share of a ribbon, shown as the worst that happened in it."""

    start: datetime
    end: datetime
    kind: Kind
    down_s: float
    #: Down and degraded time by wanted time, 0 to 1.
    share: float
    degraded_share: float = 0.0
    #: Why, in the order of time.
    reasons: tuple[str, ...] = ()


def kind_of(mark: Mark) -> Kind:
    """Return what the time after a transition counts as."""
    if mark.reason_code in _UNATTENDED:
        return Kind.UNKNOWN
    if mark.reason_code == "disabled":
        return Kind.DISABLED
    return _KINDS.get(mark.state, Kind.UNKNOWN)


def segments(
    marks: Sequence[Mark], start: datetime, end: datetime, known_until: datetime
) -> list[Segment]:
    """Return what was from `start` to `end`, in order and without gaps.

    `marks` are in the order they were written; the last before `start` tells how it began.
    """
    found: list[Segment] = []
    for piece in _pieces(marks, start, end, max(start, min(end, known_until))):
        if piece.end <= piece.start:
            continue
        if found and _is_one(found[-1], piece):
            last = found.pop()
            reason = piece.reason_code if last.reason_code in _STARTS else last.reason_code
            piece = Segment(last.start, piece.end, last.kind, reason)  # noqa: PLW2901
        found.append(piece)
    return found


def _is_one(last: Segment, piece: Segment) -> bool:
    """Whether `piece` goes on with what `last` was, for the reason of `last`."""
    if last.kind is not piece.kind:
        return False
    if last.kind not in _WRONG or last.reason_code == piece.reason_code:
        return True
    # A start has no reason of its own to be down: what it failed with is the reason.
    return last.reason_code in _STARTS or piece.reason_code in _STARTS


def measure(of: Sequence[Segment], marks: Sequence[Mark]) -> Uptime:
    """Return the figures of `of`, segments that `segments` made from `marks`."""
    spent = dict.fromkeys(Kind, 0.0)
    for segment in of:
        spent[segment.kind] += segment.seconds
    start = of[0].start if of else None
    failures = sum(1 for mark in marks if start and mark.at >= start and is_failure(mark))
    return Uptime(
        up_s=spent[Kind.UP],
        degraded_s=spent[Kind.DEGRADED],
        down_s=spent[Kind.DOWN],
        disabled_s=spent[Kind.DISABLED],
        failures=failures,
    )


def is_failure(mark: Mark) -> bool:
    """Whether a session was lost that neither an operator nor a clean stop ended."""
    lost = mark.previous_state in UP_STATES and mark.state not in UP_STATES
    return lost and mark.origin != Origin.OPERATOR and mark.reason_code != "worker_shutdown"


def buckets(of: Sequence[Segment], start: datetime, width: timedelta, number: int) -> list[Bucket]:
    """Return `number` buckets of `width` from `start`; what no segment covers is unknown."""
    found = []
    first = 0
    for index in range(number):
        begin, end = start + index * width, start + (index + 1) * width
        while first < len(of) and of[first].end <= begin:
            first += 1
        found.append(_bucket(of, first, begin, end))
    return found


def _bucket(of: Sequence[Segment], first: int, begin: datetime, end: datetime) -> Bucket:
    spent = dict.fromkeys(Kind, 0.0)
    reasons: dict[Kind, dict[str, None]] = {}
    for segment in islice(of, first, None):
        if segment.start >= end:
            break
        overlap = min(segment.end, end) - max(segment.start, begin)
        spent[segment.kind] += overlap.total_seconds()
        reasons.setdefault(segment.kind, {})[segment.reason_code] = None
    down, kind = spent[Kind.DOWN], _worst(spent)
    wanted = down + spent[Kind.UP] + spent[Kind.DEGRADED]
    shares = (down / wanted, spent[Kind.DEGRADED] / wanted) if wanted else (0.0, 0.0)
    return Bucket(begin, end, kind, down, *shares, tuple(reasons.get(kind, ()))[:MOST_REASONS])


def _worst(spent: dict[Kind, float]) -> Kind:
    for kind in (Kind.DOWN, Kind.DEGRADED):
        if spent[kind]:
            return kind
    # None of the others is worse than another: the one that lasted longest.
    longest = max((Kind.UP, Kind.UNKNOWN, Kind.DISABLED), key=lambda kind: spent[kind])
    return longest if spent[longest] else Kind.UNKNOWN


def _pieces(
    marks: Sequence[Mark], start: datetime, end: datetime, known_until: datetime
) -> Iterator[Segment]:
    """Yield a piece a mark, clipped; pieces may be empty."""
    at, last = start, None
    for mark in marks:
        # A clock that was set back must not make time run backwards.
        moment = min(max(mark.at, at), known_until)
        yield _piece(at, moment, last)
        at, last = moment, mark
    yield _piece(at, known_until, last)
    yield Segment(known_until, end, Kind.UNKNOWN)


def _piece(start: datetime, end: datetime, mark: Mark | None) -> Segment:
    """Return the time after `mark`; a start is no downtime unless it takes long."""
    if mark is None:
        return Segment(start, end, Kind.UNKNOWN)
    kind = kind_of(mark)
    if kind is Kind.DOWN and mark.reason_code in _STARTS and end - start <= START_WITHIN:
        kind = Kind.UNKNOWN
    return Segment(start, end, kind, mark.reason_code)
