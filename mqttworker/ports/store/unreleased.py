"""Which QoS 2 messages of kept sessions are stored and not released by their broker.

With it a message that comes again after the worker was killed makes no second row. Written
in the transaction of the batch that stores the messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, Table, delete, select
from sqlalchemy.engine import Connection as Transaction

from database.models import UnreleasedMessage

_table: Table = UnreleasedMessage.__table__  # type: ignore[assignment]
_COLUMNS = "connection_id, packet_identifier, digest"
#: SQLite: rows in one statement.
_AT_ONCE = 300

_SQLITE_HOLD = (
    f"INSERT INTO unreleased_message ({_COLUMNS}) VALUES {{}} "  # noqa: S608
    "ON CONFLICT (connection_id, packet_identifier) DO UPDATE SET digest = excluded.digest"
)
_SQLITE_DROP = (
    "DELETE FROM unreleased_message WHERE (connection_id, packet_identifier) IN (VALUES {})"
)
_POSTGRESQL_HOLD = (
    f"INSERT INTO unreleased_message ({_COLUMNS}) "  # noqa: S608
    "SELECT * FROM unnest(%s::bigint[], %s::integer[], %s::bigint[]) "
    "ON CONFLICT (connection_id, packet_identifier) DO UPDATE SET digest = excluded.digest"
)
_POSTGRESQL_DROP = (
    "DELETE FROM unreleased_message AS held "
    "USING unnest(%s::bigint[], %s::integer[]) AS gone (connection_id, packet_identifier) "
    "WHERE held.connection_id = gone.connection_id "
    "AND held.packet_identifier = gone.packet_identifier"
)


class ReleaseLog:
    """What one batch changes of the table, collected in the order in which it came."""

    def __init__(self) -> None:
        self._forgotten: set[int] = set()
        #: By connection and Packet Identifier: the digest of the message, None once released.
        self._digests: dict[tuple[int, int], int | None] = {}

    def __bool__(self) -> bool:
        return bool(self._forgotten or self._digests)

    def hold(self, connection_id: int, identifier: int, digest: int) -> None:
        """Remember a message that is stored with this batch."""
        self._digests[connection_id, identifier] = digest

    def release(self, connection_id: int, identifier: int) -> None:
        """Remove a message that the broker has released."""
        self._digests[connection_id, identifier] = None

    def forget(self, connection_id: int) -> None:
        """Remove all of a session that the broker has not kept."""
        self._forgotten.add(connection_id)
        for key in [key for key in self._digests if key[0] == connection_id]:
            del self._digests[key]

    def write(self, transaction: Transaction) -> None:
        """Write it down. Raises SQLAlchemyError."""
        if self._forgotten:
            transaction.execute(delete(_table).where(_table.c.connection_id.in_(self._forgotten)))
        released = [key for key, digest in self._digests.items() if digest is None]
        held = [(*key, digest) for key, digest in self._digests.items() if digest is not None]
        if transaction.dialect.name == "postgresql":
            _run(transaction, _POSTGRESQL_DROP, released)
            _run(transaction, _POSTGRESQL_HOLD, held)
        else:
            _run_in_pieces(transaction, _SQLITE_DROP, released)
            _run_in_pieces(transaction, _SQLITE_HOLD, held)


def read(engine: Engine, connection_id: int) -> dict[int, int]:
    """Return the digest of each message of a connection, by Packet Identifier."""
    query = select(_table.c.packet_identifier, _table.c.digest)
    with engine.connect() as transaction:
        rows = transaction.execute(query.where(_table.c.connection_id == connection_id))
        return {row.packet_identifier: row.digest for row in rows}


def _run(transaction: Transaction, statement: str, rows: Sequence[tuple[int, ...]]) -> None:
    if rows:
        columns = tuple(list(column) for column in zip(*rows, strict=True))
        transaction.exec_driver_sql(statement, columns)


def _run_in_pieces(
    transaction: Transaction, statement: str, rows: Sequence[tuple[int, ...]]
) -> None:
    for start in range(0, len(rows), _AT_ONCE):
        piece = rows[start : start + _AT_ONCE]
        row = f"({', '.join('?' * len(piece[0]))})"
        values: tuple[Any, ...] = tuple(value for each in piece for value in each)
        transaction.exec_driver_sql(statement.format(", ".join([row] * len(piece))), values)
