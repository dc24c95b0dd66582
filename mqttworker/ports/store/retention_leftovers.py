"""Remove what belongs to messages and is not needed any more, but for the messages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from time import monotonic

from sqlalchemy import ColumnElement, Delete, Engine, Table, and_, delete, func, or_, select

from database.clock import database_moment
from database.keeping import Limits
from database.models import (
    Connection,
    ConnectionTraffic,
    DeadLetter,
    IntakeMark,
    Subscription,
    SubscriptionStatus,
    UnreleasedMessage,
    WriteMark,
)
from database.session import immediate
from mqttworker.ports.store.lease_check import check_lease
from mqttworker.ports.store.retention_slices import Slices, size

#: Messages kept that the database did not take, and bytes of their topics and payloads.
KEEP_DEAD_LETTERS, KEEP_DEAD_BYTES = 10_000, 100_000_000
#: How long counters are kept, by the seconds that each counts.
KEEP_TRAFFIC = {60: timedelta(hours=2), 900: timedelta(days=8)}
#: Times of counters removed in one transaction: each has a row a connection.
TIMES_AT_ONCE = 2
#: How long the mark of a worker that is gone is kept.
KEEP_MARKS = timedelta(hours=1)

_connection: Table = Connection.__table__  # type: ignore[assignment]
_dead: Table = DeadLetter.__table__  # type: ignore[assignment]
_mark: Table = IntakeMark.__table__  # type: ignore[assignment]
_write_mark: Table = WriteMark.__table__  # type: ignore[assignment]
_subscription: Table = Subscription.__table__  # type: ignore[assignment]
_status: Table = SubscriptionStatus.__table__  # type: ignore[assignment]
_unreleased: Table = UnreleasedMessage.__table__  # type: ignore[assignment]
_traffic: Table = ConnectionTraffic.__table__  # type: ignore[assignment]


class Leftovers:
    """The tables around `message`."""

    def __init__(self, engine: Engine, boot_id: str) -> None:
        self._engine = engine
        self._writer = immediate(engine)
        self._boot_id = boot_id
        self._dead_slices = Slices(engine, boot_id, _dead)

    def clean(self, limits: Limits) -> Iterator[float]:
        """Do one round, a transaction a step; yields for how many seconds each took.

        Raises SQLAlchemyError, LeaseLostError.
        """
        yield from self._remove_dead_letters(limits)
        for seconds, keep in KEEP_TRAFFIC.items():
            yield from self._remove_traffic(seconds, keep)
        known = select(_subscription.c.id)
        yield self._delete(delete(_status).where(_status.c.subscription_id.not_in(known)))[1]
        has_owner = _unreleased.c.connection_id.in_(select(_connection.c.id))
        yield self._delete(delete(_unreleased).where(~has_owner))[1]
        is_old = _mark.c.at < database_moment(-KEEP_MARKS.total_seconds())
        yield self._delete(delete(_mark).where(_mark.c.boot_id != self._boot_id, is_old))[1]
        is_old = _write_mark.c.at < database_moment(-KEEP_MARKS.total_seconds())
        is_of_another = _write_mark.c.boot_id != self._boot_id
        yield self._delete(delete(_write_mark).where(is_of_another, is_old))[1]

    def _remove_dead_letters(self, limits: Limits) -> Iterator[float]:
        newest = select(_dead.c.id).order_by(_dead.c.id.desc())
        surplus = newest.offset(KEEP_DEAD_LETTERS).limit(1).scalar_subquery()
        yield from self._dead_slices.delete(_dead.c.id <= surplus)
        yield from self._dead_slices.delete(_is_too_old(limits))
        yield from self._dead_slices.delete(enough=self._dead_bytes() - KEEP_DEAD_BYTES)

    def _dead_bytes(self) -> int:
        with self._engine.connect() as transaction:
            return int(transaction.scalar(select(func.sum(size(self._engine, _dead.c)))) or 0)

    def _remove_traffic(self, seconds: int, keep: timedelta) -> Iterator[float]:
        own = _traffic.c
        is_old = own.starts_at < database_moment(-keep.total_seconds())
        times = select(own.starts_at).where(own.seconds == seconds, is_old)
        oldest = times.distinct().order_by(own.starts_at).limit(TIMES_AT_ONCE)
        which = delete(_traffic).where(own.seconds == seconds, own.starts_at.in_(oldest))
        number = 1
        while number:
            number, held = self._delete(which)
            yield held

    def _delete(self, statement: Delete) -> tuple[int, float]:
        """Return how many rows went, and for how many seconds that held its locks."""
        with self._writer.begin() as transaction:
            started = monotonic()
            number = transaction.execute(statement).rowcount
            check_lease(transaction, self._boot_id)
        return number, monotonic() - started


def _is_too_old(limits: Limits) -> ColumnElement[bool]:
    """Say of a dead letter that its connection keeps nothing that old, or is gone."""
    by_days: dict[int, list[int]] = {}
    for connection_id in limits.own:
        by_days.setdefault(limits.days_of(connection_id), []).append(connection_id)
    conditions = [
        and_(
            _dead.c.connection_id.in_(ids),
            _dead.c.received_at < database_moment(-timedelta(days=days).total_seconds()),
        )
        for days, ids in by_days.items()
    ]
    return or_(_dead.c.connection_id.not_in(select(_connection.c.id)), *conditions)
