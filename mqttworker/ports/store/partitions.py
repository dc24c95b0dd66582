"""The partitions of `message` on PostgreSQL: made ahead, dropped whole. SQLite has none.

Nothing here lets the intake wait for longer than LOCK_TIMEOUT: what does not get its lock
gives up and is tried again later. Until then messages go to the default partition.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, text
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.exc import DBAPIError

from database.clock import database_now
from database.partitions import DEFAULT, end_of, name_of
from mqttworker.ports.store.lease_check import check_lease

#: Days for which a partition is made before they come.
AHEAD = 3
#: Longest wait for a lock, and longest statement, milliseconds.
LOCK_TIMEOUT, STATEMENT_TIMEOUT = 300, 900
#: Rows of a day that are moved out of the default partition; where there are more they stay.
MOVED_AT_MOST = 5_000

_CHILDREN = text(
    "SELECT c.oid, c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "JOIN pg_class parent ON parent.oid = i.inhparent "
    "WHERE i.inhparent = to_regclass('message') AND parent.relkind = 'p'"
)


class Partition(NamedTuple):
    """A part of the table `message`."""

    oid: int
    name: str
    #: Everything in it was received before; None for the default partition.
    end: datetime | None


class Partitions:
    """What the worker does to the parts of `message`."""

    def __init__(self, engine: Engine, boot_id: str) -> None:
        self._engine = engine
        self._boot_id = boot_id
        self._exist = engine.dialect.name == "postgresql"

    def read(self) -> list[Partition]:
        """Return all partitions, the oldest first, the default one last; none on SQLite."""
        if not self._exist:
            return []
        with self._engine.connect() as transaction:
            rows = transaction.execute(_CHILDREN).all()
        found = [Partition(row.oid, row.relname, _end(row.relname)) for row in rows]
        return sorted(found, key=lambda item: (item.end is None, item.end))

    def missing(self) -> list[date]:
        """Return the days from today on, by the database's clock, that need a partition."""
        found = self.read()
        if not found:
            return []
        with self._engine.connect() as transaction:
            today = transaction.execute(database_now().select()).scalar_one().date()
        names = {item.name for item in found}
        days = [today + timedelta(days=number) for number in range(AHEAD + 1)]
        return [day for day in days if name_of(day) not in names and not _is_covered(day, found)]

    def make(self, day: date) -> str | None:
        """Make the partition of `day`, with what the default one holds of it.

        Returns why that cannot be now; its messages go on to the default partition then.
        """
        name, next_day = name_of(day), day + timedelta(days=1)
        bounds = f"received_at >= '{day} 00:00+00' AND received_at < '{next_day} 00:00+00'"
        try:
            with self._changing() as transaction:
                if _is_much(transaction, bounds):
                    return f"more than {MOVED_AT_MOST} messages of {day} are in {DEFAULT}"
                transaction.execute(text(f"CREATE TABLE {name} (LIKE message)"))
                transaction.execute(
                    text(
                        f"WITH own AS (DELETE FROM {DEFAULT} WHERE {bounds} RETURNING *) "  # noqa: S608
                        f"INSERT INTO {name} SELECT * FROM own"
                    )
                )
                # Unlike CREATE TABLE ... PARTITION OF this lets others write meanwhile.
                transaction.execute(
                    text(
                        f"ALTER TABLE message ATTACH PARTITION {name} "
                        f"FOR VALUES FROM ('{day} 00:00+00') TO ('{next_day} 00:00+00')"
                    )
                )
        except DBAPIError as error:
            return _give_way(error)
        return None

    def drop(self, name: str) -> str | None:
        """Remove a partition with all that is in it; return why that cannot be now."""
        try:
            with self._changing() as transaction:
                transaction.execute(text(f"DROP TABLE IF EXISTS {name}"))
        except DBAPIError as error:
            return _give_way(error)
        return None

    @contextmanager
    def _changing(self) -> Iterator[Transaction]:
        with self._engine.begin() as transaction:
            transaction.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT}"))
            transaction.execute(text(f"SET LOCAL statement_timeout = {STATEMENT_TIMEOUT}"))
            yield transaction
            # Last: whoever waits for a table must not keep the lease from being renewed.
            check_lease(transaction, self._boot_id)


def _end(name: str) -> datetime | None:
    day = end_of(name)
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC)


def _is_covered(day: date, found: list[Partition]) -> bool:
    """Whether `day` lies in the partition of what came before there were partitions."""
    ends = (item.end for item in found if item.end and name_of(_last_day(item.end)) != item.name)
    return any(day < end.date() for end in ends)


def _last_day(end: datetime) -> date:
    return end.date() - timedelta(days=1)


def _is_much(transaction: Transaction, bounds: str) -> bool:
    """Whether the default partition holds more of a day than can be moved in a moment."""
    some = f"SELECT FROM {DEFAULT} WHERE {bounds} LIMIT {MOVED_AT_MOST + 1}"
    number = transaction.scalar(text(f"SELECT count(*) FROM ({some}) AS few"))  # noqa: S608
    return (number or 0) > MOVED_AT_MOST


def _give_way(error: DBAPIError) -> str:
    """Return why something is left for another time; raise if the database is gone."""
    if error.connection_invalidated:
        raise error
    return type(error.orig).__name__
