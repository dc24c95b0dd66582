"""What pages show of messages that were found; never more of a payload than is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, LargeBinary, Select, cast, func, select
from sqlalchemy import Connection as Transaction

from database.models import Connection, DeadLetter, Message
from database.models.messages import TOPIC_HEAD
from webapp import columns
from webapp.messages import topics

Row = Mapping[str, Any]

#: What a list shows at most: bytes of a payload, characters of a topic.
HEAD_BYTES, TOPIC_CHARACTERS = 400, 300
#: Payloads up to this size are read as a whole for the page of one message, else their start.
WHOLE_BYTES, START_BYTES = 1024 * 1024, 256 * 1024
#: Bytes that a download or an export holds in memory.
PART_BYTES = 4 * 1024 * 1024
#: Messages with the same start of a topic that are looked through for the next on the topic.
NEIGHBOURS = 1_000

_message = Message
_FLAGS = ("id", "connection_id", "qos", "retain", "dup")


def read(transaction: Transaction, ids: Sequence[int]) -> list[Row]:
    """Return the rows with these ids in their order; what is gone meanwhile is left out."""
    query = _statement(_message).add_columns(
        func.substr(cast(_message.payload, LargeBinary), 1, HEAD_BYTES).label("head"),
        columns.words(func.substr(_message.topic, 1, TOPIC_CHARACTERS).label("topic")),
    )
    return _by_id(transaction, query, _message.id, ids)


def in_parts(transaction: Transaction, ids: Sequence[int]) -> list[list[Row]]:
    """Return what `whole` needs to know of the rows with these ids, a few megabytes a part."""
    sizes = select(_message.id, _size(_message), columns.time(_message.received_at))
    parts: list[list[Row]] = []
    left = 0
    for row in _by_id(transaction, sizes, _message.id, ids):
        size = row["size"] or 0
        if not parts or size > left:
            parts.append([])
            left = PART_BYTES
        parts[-1].append(row)
        left -= size
    return parts


def whole(transaction: Transaction, part: Sequence[Row]) -> list[Row]:
    """Return the whole rows of a part; what is gone meanwhile is left out."""
    query = _statement(_message).add_columns(
        cast(_message.payload, LargeBinary).label("payload"),
        columns.words(_message.topic),
        columns.json_object(_message.properties),
    )
    times = [row["received_at"] for row in part if row["received_at"]]
    if times and transaction.dialect.name != "sqlite":
        # What is known of the times leaves out the other partitions.
        query = query.where(_message.received_at.between(min(times), max(times)))
    return _by_id(transaction, query, _message.id, [row["id"] for row in part])


def one(transaction: Transaction, number: int) -> Row | None:
    """Return a message with its payload, the start of it if that is large, as `payload`."""
    query = _statement(_message).add_columns(
        columns.words(_message.topic), columns.json_object(_message.properties)
    )
    row = transaction.execute(query.where(_message.id == number)).first()
    if row is None:
        return None
    wanted = WHOLE_BYTES if (row.size or 0) <= WHOLE_BYTES else START_BYTES
    return {**row._mapping, "payload": part(transaction, Message, number, 0, wanted) or b""}


def part(
    transaction: Transaction, table: Any, number: int, start: int, length: int
) -> bytes | None:
    """Return `length` bytes of a payload from `start` on; None without such a row."""
    payload = func.substr(cast(table.payload, LargeBinary), start + 1, length)
    found = transaction.execute(select(payload).where(table.id == number)).first()
    return None if found is None else as_bytes(found[0])


def size(transaction: Transaction, table: Any, number: int) -> int | None:
    """Return how many bytes a payload has; None without such a row."""
    payload = func.length(cast(table.payload, LargeBinary))
    return transaction.scalar(select(payload).where(table.id == number))


def neighbour(transaction: Transaction, row: Row, *, newer: bool) -> int | None:
    """Return the id of the next or the previous message on the same topic."""
    dialect, topic = transaction.dialect.name, row["topic"]
    key: Any = _message.topic if dialect == "sqlite" else topics.head()
    head = topic if dialect == "sqlite" else topic[:TOPIC_HEAD]
    beyond = _message.id > row["id"] if newer else _message.id < row["id"]
    near = (
        select(_message.id, _message.topic)
        .where(key == head, beyond)
        .order_by(_message.id if newer else _message.id.desc())
        .limit(NEIGHBOURS)
        .subquery()
    )
    first = func.min(near.c.id) if newer else func.max(near.c.id)
    return transaction.scalar(select(first).where(near.c.topic == topic))


def set_aside(
    transaction: Transaction, connection: int | None, before: int | None, limit: int
) -> list[Row]:
    """Return messages that the database did not take, newest first."""
    query = _statement(DeadLetter).add_columns(
        func.substr(cast(DeadLetter.payload, LargeBinary), 1, HEAD_BYTES).label("head"),
        func.substr(cast(DeadLetter.topic, LargeBinary), 1, HEAD_BYTES).label("topic"),
        func.length(cast(DeadLetter.topic, LargeBinary)).label("topic_bytes"),
        columns.words(DeadLetter.problem),
    )
    if before:
        query = query.where(DeadLetter.id < before)
    if connection:
        query = query.where(DeadLetter.connection_id == connection)
    rows = transaction.execute(query.order_by(DeadLetter.id.desc()).limit(limit))
    return [dict(row._mapping) for row in rows]


def as_bytes(value: Any) -> bytes:
    """Return what a driver gave for a payload as bytes."""
    if isinstance(value, bytes | memoryview | bytearray):
        return bytes(value)
    return b"" if value is None else str(value).encode("utf-8", "replace")


def _statement(table: Any) -> Select[Any]:
    """Select what lists show beside topic and payload, with the connection's name."""
    return select(
        *(columns.raw(getattr(table, name)) for name in _FLAGS),
        columns.time(table.received_at),
        _size(table),
        columns.raw(Connection.name),
    ).outerjoin_from(table, Connection, Connection.id == table.connection_id)


def _size(table: Any) -> ColumnElement[Any]:
    # Not of the cast: that would read the whole payload to learn its length.
    return func.length(table.payload).label("size")


def _by_id(transaction: Transaction, query: Select[Any], key: Any, ids: Sequence[int]) -> list[Row]:
    rows = {row.id: row._mapping for row in transaction.execute(query.where(key.in_(ids)))}
    return [dict(rows[number]) for number in ids if number in rows]
