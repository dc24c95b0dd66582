"""Remove many rows a few at a time, so that those who write beside never wait for long."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Engine,
    LargeBinary,
    Table,
    cast,
    column,
    delete,
    func,
    literal_column,
    select,
)
from sqlalchemy import table as table_named
from sqlalchemy.sql.elements import Label

from database.session import immediate
from mqttworker.ports.store.facts import check_lease

#: Rows, and bytes of topics and payloads, that one transaction removes at most.
SLICE, SLICE_BYTES = 500, 2_000_000
#: How long a transaction should hold SQLite's write lock, seconds; a slow disk gets smaller ones.
HELD = 0.01
SLICE_AT_LEAST = 20
#: Slices in a row after which others have their turn.
TURN = 400


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
        self._slice = SLICE
        #: Whether rows were left because it was the turn of others.
        self.is_behind = False
        #: Names of the partitions: a row is removed from its own, not looked for in all.
        self.pieces: Mapping[int, str] = {}

    def delete(self, *which: ColumnElement[bool], enough: int | None = None) -> Iterator[float]:
        """Remove the rows with the lowest ids that `which` selects, `enough` bytes if given.

        Yields after each transaction for how many seconds it held its locks. Raises
        SQLAlchemyError, LeaseLostError.
        """
        for _ in range(TURN):
            if enough is not None and enough <= 0:
                return
            rows = self._oldest(which, enough)
            if not rows:
                return
            number, held = self._remove(rows)
            self._slice = max(SLICE_AT_LEAST, min(SLICE, int(len(rows) * HELD / held)))
            if not number:
                # Somebody was faster, or a trigger of somebody's will not have it.
                return
            if enough is not None:
                enough -= sum(row.size for row in rows)
            yield held
        self.is_behind = True

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
            check_lease(transaction, self._boot_id)
            for oid, ids in by_piece.items():
                part = table_named(self.pieces.get(oid, self._table.name), column("id"))
                result: Any = transaction.execute(delete(part).where(part.c.id.in_(ids)))
                number += result.rowcount
        held = max(monotonic() - started, 1e-6)
        self._on_deleted(rows, number)
        return number, held


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
