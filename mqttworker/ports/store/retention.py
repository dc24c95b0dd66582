"""Remove messages that are beyond what is to be kept: whole partitions first, then slices."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, Table, func, select, type_coerce
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.types import NullType

from database.clock import database_now
from database.keeping import Limits, Own
from database.models import Connection, Message
from mqttworker.ports.store.lease_check import LeaseLostError
from mqttworker.ports.store.partitions import Partition, Partitions
from mqttworker.ports.store.retention_leftovers import Leftovers
from mqttworker.ports.store.retention_slices import Slices
from mqttworker.ports.store.retention_tally import Tally

#: How often a partition that is in use is tried to be dropped before its rows go one by one.
DROP_TRIES = 3

_connection: Table = Connection.__table__  # type: ignore[assignment]
_message: Table = Message.__table__  # type: ignore[assignment]


class Scene(NamedTuple):
    """What one round goes by."""

    limits: Limits
    #: By the database's clock.
    now: datetime
    partitions: list[Partition]

    def cutoff(self, days: int) -> datetime:
        """Return the moment before which messages are older than `days`."""
        return self.now - timedelta(days=days)


class Retention:
    """The rounds in which messages are counted and removed."""

    def __init__(self, engine: Engine, boot_id: str, *, days: int, megabytes: int) -> None:
        self._engine = engine
        self._days, self._megabytes = days, megabytes
        self._partitions = Partitions(engine, boot_id)
        self._tally = Tally(engine, boot_id)
        self._slices = Slices(engine, boot_id, _message, self._tally.removed)
        self._leftovers = Leftovers(engine, boot_id)

    @property
    def is_behind(self) -> bool:
        """Whether the last round left something that it could have removed."""
        return self._slices.is_behind

    def prepare(self) -> str | None:
        """Make the partitions of the days to come; return why one cannot be made now.

        Raises SQLAlchemyError, LeaseLostError.
        """
        problems = [self._partitions.make(day) for day in self._partitions.missing()]
        if None in problems:
            # Rows may have moved from one to another.
            self._tally.forget()
        return next(filter(None, problems), None)

    def clean(self) -> Iterator[float]:
        """Do one round, a transaction a step; yields for how many seconds each took.

        Raises SQLAlchemyError, LeaseLostError.
        """
        try:
            yield from self._round()
        except (SQLAlchemyError, LeaseLostError):
            # Nobody knows what took effect.
            self._tally.forget()
            raise

    def _round(self) -> Iterator[float]:
        scene = self._look()
        self._slices.is_behind = False
        self._slices.pieces = {item.oid: item.name for item in scene.partitions}
        yield from self._drop_old(scene)
        yield from self._remove_old(scene)
        yield from self._tally.count()
        yield from self._remove_of_deleted(scene)
        yield from self._remove_beyond_own(scene)
        yield from self._drop_beyond_all(scene)
        yield from self._remove_beyond_all(scene)
        yield from self._tally.find_oldest()
        if self._tally.is_complete:
            self._tally.write()
        yield from self._leftovers.clean(scene.limits)

    def _look(self) -> Scene:
        own = _connection.c
        columns = (own.id, own.keep_messages_days, own.keep_messages_mb)
        with self._engine.connect() as transaction:
            # As the driver gives them: no conversion can fail on bad values.
            rows = transaction.execute(select(*(type_coerce(item, NullType()) for item in columns)))
            records = {int(row[0] or 0): Own.read(row[1], row[2]) for row in rows}
            now = transaction.execute(database_now().select()).scalar_one()
        limits = Limits(self._days, self._megabytes, records)
        return Scene(limits, now, self._partitions.read())

    # --- by age

    def _drop_old(self, scene: Scene) -> Iterator[float]:
        """Drop the partitions of which no connection keeps anything."""
        too_old = scene.cutoff(scene.limits.longest)
        for partition in scene.partitions:
            if partition.end and partition.end <= too_old:
                yield from self._drop(partition)

    def _remove_old(self, scene: Scene) -> Iterator[float]:
        longest = scene.limits.longest
        by_days: dict[int, list[int]] = {longest: []}
        for connection_id in scene.limits.own:
            by_days.setdefault(scene.limits.days_of(connection_id), []).append(connection_id)
        for days, connection_ids in by_days.items():
            cutoff = scene.cutoff(days)
            own = _message.c
            is_old = own.received_at < cutoff, own.id < self._first_since(cutoff)
            yield 0.0
            if days == longest:
                yield from self._slices.delete(*is_old)
                continue
            for connection_id in connection_ids:
                oldest = self._tally.oldest(connection_id)
                if oldest is None or oldest < cutoff:
                    yield from self._slices.delete(*is_old, own.connection_id == connection_id)
                    yield 0.0

    def _first_since(self, moment: datetime) -> int:
        """Return the id from which on messages are not older than `moment`.

        Ids grow with the time of receipt, so it is found in a few looks at single rows.
        """
        own = _message.c
        with self._engine.connect() as transaction:
            # One at a time: of both at once SQLite would read the whole table.
            low = transaction.scalar(select(func.min(own.id)))
            high = (transaction.scalar(select(func.max(own.id))) or 0) + 1
            if low is None:
                return 0
            while low < high:
                middle = (low + high) // 2
                row = select(own.id, own.received_at < moment).where(own.id >= middle)
                found = transaction.execute(row.order_by(own.id).limit(1)).first()
                if found is not None and found[1]:
                    low = found[0] + 1
                else:
                    high = middle
        return int(high)

    # --- by size

    def _remove_of_deleted(self, scene: Scene) -> Iterator[float]:
        for connection_id in self._tally.by_connection():
            if connection_id not in scene.limits.own:
                yield from self._slices.delete(_message.c.connection_id == connection_id)

    def _remove_beyond_own(self, scene: Scene) -> Iterator[float]:
        for connection_id, count in self._tally.by_connection().items():
            own = scene.limits.own.get(connection_id)
            if own and own.bytes and count.bytes > own.bytes:
                which = _message.c.connection_id == connection_id
                yield from self._slices.delete(which, enough=count.bytes - own.bytes)

    def _drop_beyond_all(self, scene: Scene) -> Iterator[float]:
        """Drop the oldest partitions as long as the rest is as much as is to be kept."""
        for partition in scene.partitions:
            in_use = partition.end is None or partition.end > scene.now
            rest = self._tally.bytes - self._tally.bytes_in(partition.oid)
            if in_use or not self._tally.is_complete or rest < scene.limits.bytes:
                return
            if not (yield from self._drop(partition)):
                # What is newer waits for it: its rows go first, one by one.
                return

    def _remove_beyond_all(self, scene: Scene) -> Iterator[float]:
        excess = self._tally.bytes - scene.limits.bytes
        if self._tally.is_complete and excess > 0:
            yield from self._slices.delete(enough=excess)

    def _drop(self, partition: Partition) -> Generator[float, None, bool]:
        """Drop a partition; the value of the generator says whether it is gone."""
        for _ in range(DROP_TRIES):
            is_gone = self._partitions.drop(partition.name) is None
            if is_gone:
                self._tally.dropped(partition.oid)
            yield 0.0
            if is_gone:
                return True
        return False
