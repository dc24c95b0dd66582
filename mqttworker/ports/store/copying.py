"""Many messages at once, as each database takes them fastest.

SQLite: one INSERT for hundreds of rows. `executemany` would let go of Python's lock for
each row, and wait for it again behind whatever else runs. PostgreSQL: COPY, in binary.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import psycopg
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.exc import OperationalError

from mqttworker.core.letters import Letter
from mqttworker.core.wire.property_names import as_json

_COLUMNS = "connection_id, received_at, topic, payload, qos, retain, dup, properties"
_WIDTH = _COLUMNS.count(",") + 1
#: Rows in one INSERT; fewer go by tens and by ones, so that few statements are prepared.
_AT_ONCE = (500, 50, 5, 1)
#: Statements that say that a row is bad, not that the database is: classes 22 and 23 (data,
#: integrity), a row too large for an index, and what a trigger raises.
BAD_ROW = (
    psycopg.errors.DataError,
    psycopg.errors.IntegrityError,
    psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.RaiseException,
)

_COPY = f"COPY message ({_COLUMNS}) FROM STDIN (FORMAT BINARY)"
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_END = b"\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
#: Number of fields; connection_id and received_at with their lengths; length of the topic.
_ROW_HEAD = struct.Struct("!hiqiqi")
_LENGTH = struct.Struct("!i")
_FLAGS = struct.Struct("!iiibib")
_NULL = _LENGTH.pack(-1)


class BadRowError(Exception):
    """The database takes none of these rows because of what one of them holds."""


def insert_letters(transaction: Transaction, letters: Sequence[Letter]) -> None:
    """Insert `letters`. Raises BadRowError, or SQLAlchemyError if the database fails."""
    if transaction.dialect.name == "postgresql":
        _copy(transaction, letters)
    else:
        _insert(transaction, letters)


# --- SQLite


def _insert(transaction: Transaction, letters: Sequence[Letter]) -> None:
    start = 0
    for at_once in _AT_ONCE:
        while len(letters) - start >= at_once:
            values: list[Any] = []
            for letter in letters[start : start + at_once]:
                values += _values(letter)
            transaction.exec_driver_sql(_statement(at_once), tuple(values))
            start += at_once


@lru_cache
def _statement(rows: int) -> str:
    row = f"({', '.join('?' * _WIDTH)})"
    return f"INSERT INTO message ({_COLUMNS}) VALUES {', '.join([row] * rows)}"  # noqa: S608


def _values(letter: Letter) -> tuple[Any, ...]:
    message = letter.message
    return (
        letter.connection_id,
        _as_text(letter.received_at),
        message.topic,
        message.payload,
        message.qos,
        message.retain,
        message.dup,
        as_json(message.properties),
    )


@lru_cache(maxsize=16)
def _as_text(moment: datetime) -> str:
    """Return `moment` as SQLAlchemy writes it; all messages of one read share theirs."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


# --- PostgreSQL


def _copy(transaction: Transaction, letters: Sequence[Letter]) -> None:
    connection: Any = transaction.connection.driver_connection
    try:
        with connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.write(_packed(letters))
    except BAD_ROW as error:
        raise BadRowError(str(error.diag.message_primary or type(error).__name__)) from error
    except psycopg.Error as error:
        if connection.closed:
            transaction.invalidate(error)
        raise OperationalError(_COPY, None, error, hide_parameters=True) from error


def _packed(letters: Sequence[Letter]) -> bytes:
    parts = [_COPY_HEAD]
    add = parts.append
    for connection_id, received_at, message in letters:
        topic = message.topic.encode("utf-8", "surrogateescape")
        payload = message.payload
        microseconds = _microseconds(received_at)
        add(_ROW_HEAD.pack(_WIDTH, 8, connection_id, 8, microseconds, len(topic)))
        add(topic)
        add(_LENGTH.pack(len(payload)))
        add(payload)
        add(_FLAGS.pack(4, message.qos, 1, message.retain, 1, message.dup))
        add(_packed_properties(message.properties) if message.properties else _NULL)
    add(_COPY_END)
    return b"".join(parts)


@lru_cache(maxsize=16)
def _microseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _packed_properties(found: bytes) -> bytes:
    data = (as_json(found) or "null").encode()
    return _LENGTH.pack(len(data)) + data
