"""Remove many rows a few at a time, so that those who write beside never wait for long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Engine,
    LargeBinary,
    Table,
    any_,
    cast,
    column,
    delete,
    func,
    literal,
    literal_column,
    select,
)
from sqlalchemy import table as table_named
from sqlalchemy.sql.elements import Label

from database.session import immediate
from mqttworker.ports.store.lease_check import check_lease

#: Bytes of topics and payloads that one transaction removes at most.
SLICE_BYTES = 2_000_000
#: Rows after which others have their turn.
TURN = 100_000


class Pace(NamedTuple):
    """How much one transaction removes."""

    #: Rows at least and at most.
    least: int
    most: int
    #: How long it should take, seconds: a slow disk gets fewer rows.
    takes: float


#: SQLite lets nobody else write meanwhile; on PostgreSQL only the lease is held.
PACES = {"sqlite": Pace(20, 1_000, 0.02), "postgresql": Pace(100, 5_000, 0.1)}


class Row(NamedTuple):
    """A row that is to go."""

    id: int
    #: The partition that holds it, 0 where there is none.
    piece: int
    connection_id: int
    #: Bytes of its topic and payload.
    size: int


class Slices:
    """Removes rows of a table that has an id, a connection, a topic and a payload."""

    def __init__(
        self,
        engine: Engine,
        boot_id: str,
        table: Table,
        on_deleted: Callable[[Sequence[Row], int], object] = lambda rows, number: None,
    ) -> None:
        self._engine = engine
        self._writer = immediate(engine)
        self._boot_id = boot_id
        self._table = table
        self._on_deleted = on_deleted
        self._pace = PACES[engine.dialect.name]
        self._slice = self._pace.least
        #: Whether rows were left because it was the turn of others.
        self.is_behind = False
        #: Names of the partitions: a row is removed from its own, not looked for in all.
        self.pieces: Mapping[int, str] = {}

    def delete(self, *which: ColumnElement[bool], enough: int | None = None) -> Iterator[float]:
        """Remove the rows with the lowest ids that `which` selects, or `enough` bytes of them.

        Yields after each transaction for how many seconds it held its locks. Raises
        SQLAlchemyError, LeaseLostError.
        """
        last, left = -(2**63), TURN
        while left > 0 and (enough is None or enough > 0):
            # What was removed just now is not looked through again.
            rows = self._oldest((*which, self._table.c.id > last), enough)
            if not rows:
                return
            number, held = self._remove(rows)
            if not number:
                # Somebody was faster, or a trigger of somebody's will not have it.
                return
            self._adapt(len(rows), held)
            if enough is not None:
                enough -= sum(row.size for row in rows)
            last, left = rows[-1].id, left - number
            yield held
        self.is_behind = self.is_behind or left <= 0

    def _adapt(self, rows: int, held: float) -> None:
        least, most, takes = self._pace
        self._slice = max(least, min(most, int(rows * takes / held)))

    def _oldest(self, which: Sequence[ColumnElement[bool]], enough: int | None) -> list[Row]:
        """Return the next rows to remove; read without a lock, as nobody else removes any."""
        own = self._table.c
        with self._engine.connect() as transaction:
            found = transaction.execute(
                select(own.id, piece(self._engine), own.connection_id, size(self._engine, own))
                .where(*which)
                .order_by(own.id)
                .limit(self._slice)
            )
            return _up_to([Row(*row) for row in found], enough)

    def _remove(self, rows: Sequence[Row]) -> tuple[int, float]:
        """Return how many of `rows` went, and for how many seconds that held its locks."""
        by_piece: dict[int, list[int]] = {}
        for row in rows:
            by_piece.setdefault(row.piece, []).append(row.id)
        number = 0
        with self._writer.begin() as transaction:
            started = monotonic()
            for oid, ids in by_piece.items():
                part = table_named(self.pieces.get(oid, self._table.name), column("id"))
                which = _is_among(part.c.id, ids, self._engine)
                number += transaction.execute(delete(part).where(which)).rowcount
            check_lease(transaction, self._boot_id)
        held = max(monotonic() - started, 1e-6)
        self._on_deleted(rows, number)
        return number, held


def _is_among(id_: ColumnElement[int], ids: Sequence[int], engine: Engine) -> ColumnElement[bool]:
    """Say the same as `id IN (...)` with one parameter: a thousand take time to write out."""
    if engine.dialect.name == "postgresql":
        return id_ == any_(literal(ids, ARRAY(BigInteger)))
    return id_.in_(select(func.json_each(json.dumps(ids)).table_valued("value").c.value))


def piece(engine: Engine) -> Label[int]:
    """Select the partition of a row, 0 where there are none."""
    return literal_column("tableoid" if engine.dialect.name == "postgresql" else "0").label("piece")


def size(engine: Engine, columns: Any) -> Label[int]:
    """Select the bytes of topic and payload of a row, without reading a long payload."""
    if engine.dialect.name == "postgresql":
        octets = func.octet_length(columns.topic) + func.octet_length(columns.payload)
    else:
        # Of a text SQLite tells the characters.
        octets = func.length(cast(columns.topic, LargeBinary)) + func.length(columns.payload)
    return func.coalesce(octets, 0).label("size")


def _up_to(rows: list[Row], enough: int | None) -> list[Row]:
    """Return the first of `rows` that make one transaction, at least one."""
    most = SLICE_BYTES if enough is None else min(enough, SLICE_BYTES)
    total = 0
    for number, row in enumerate(rows, start=1):
        total += row.size
        if total >= most:
            return rows[:number]
    return rows
