"""What connections carried: messages and bytes in sliding windows and in series.

The worker counts minutes and quarter hours. A window ends now, by the database's clock: it
takes the present bucket as it is, and of the oldest the share that still lies in it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection as Transaction
from sqlalchemy import select

from database.models import ConnectionTraffic
from webapp import columns
from webapp.wording.lazy import lazy_gettext as _

_row = ConnectionTraffic


class Counts(NamedTuple):
    """Messages and payload bytes."""

    messages_in: float = 0
    messages_dropped: float = 0
    messages_out: float = 0
    bytes_in: float = 0
    bytes_dropped: float = 0
    bytes_out: float = 0

    def __bool__(self) -> bool:
        return any(self)


_NONE = Counts()


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time that ends now, and the buckets it is shown in."""

    words: Any
    #: Length of a bucket, seconds.
    seconds: int
    number: int

    def first(self, now: datetime) -> datetime:
        """Return where the oldest bucket begins that lies in the span, if only in part."""
        present = now.timestamp() // self.seconds * self.seconds
        return datetime.fromtimestamp(present - self.number * self.seconds, UTC)


HOUR, DAY = Span(_("Last hour"), 60, 60), Span(_("Last 24 h"), 900, 96)


@dataclass(frozen=True, slots=True)
class Series:
    """What was carried in each bucket of a span, the present one last.

    There is one bucket more than the span has: of the first only a part lies in it.
    """

    span: Span
    now: datetime
    buckets: Sequence[Counts]

    def window(self, number: int) -> Counts:
        """Return the sum over the last `number` buckets' length of time."""
        recent = self.buckets[-number:]
        oldest = self.buckets[-number - 1]
        left = 1 - self.now.timestamp() % self.span.seconds / self.span.seconds
        return Counts(
            *(
                sum(each) + left * part
                for each, part in zip(zip(*recent, strict=True), oldest, strict=True)
            )
        )

    @property
    def whole(self) -> list[Counts]:
        """What passed in each bucket; the present one is taken as a window."""
        return [*self.buckets[1:-1], self.window(1)]

    def start(self, place: int) -> datetime:
        """Return when the bucket of `whole` at `place` began."""
        width = timedelta(seconds=self.span.seconds)
        return self.span.first(self.now) + (place + 1) * width


def read(
    transaction: Transaction,
    ids: Iterable[int],
    span: Span,
    now: datetime,
    fields: Sequence[str] = Counts._fields,
) -> dict[int, Series]:
    """Return the series of each of the connections `ids`: one statement.

    `ALL_CONNECTIONS` has what all carried together. A page of lines needs only the first of
    the `fields`, and has thousands of rows.
    """
    found: dict[int, list[Counts]] = {number: [_NONE] * (span.number + 1) for number in ids}
    place_of = _Places(span, now)
    for number, starts_at, *counts in transaction.execute(_statement(found, span, now, fields)):
        place = place_of[starts_at]
        if place is not None:
            found[number][place] = Counts(*map(columns.count, counts))
    return {number: Series(span, now, buckets) for number, buckets in found.items()}


def windows(hour: Series, day: Series) -> list[tuple[str, Counts]]:
    """Return what was carried in the last minute, hour and day."""
    return [("1 min", hour.window(1)), ("1 h", hour.window(60)), ("24 h", day.window(96))]


class _Places(dict[Any, int | None]):
    """The bucket of each time as the driver gives it: the same few times come again and again."""

    def __init__(self, span: Span, now: datetime) -> None:
        super().__init__()
        self._span = span
        self._first = span.first(now)

    def __missing__(self, raw: Any) -> int | None:
        moment = columns.moment(raw)
        place = None
        if moment is not None:
            place = int((moment - self._first).total_seconds() // self._span.seconds)
        found = self[raw] = place if place is not None and 0 <= place <= self._span.number else None
        return found


def _statement(ids: Iterable[int], span: Span, now: datetime, fields: Sequence[str]) -> Any:
    mine = _row.connection_id.in_(list(ids))
    return select(
        _row.connection_id,
        columns.raw(_row.starts_at),
        *(columns.raw(getattr(_row, name)) for name in fields),
    ).where(mine, _row.seconds == span.seconds, _row.starts_at >= span.first(now))
