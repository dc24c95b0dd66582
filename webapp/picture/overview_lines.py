"""All connections at once: one line of JSON each, put together by the database itself.

Rows that are fetched one by one give Python's lock away with each, and are converted one by
one; with thousands of connections that takes longer than anything else. Most lines are what
they were a second ago: what was made of them is kept.
"""

from __future__ import annotations

import json
from collections import namedtuple
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import Select, Text, cast, func, literal, select
from sqlalchemy.types import TypeDecorator

from database.models import Connection, ConnectionStatus
from webapp.picture import overview_query

#: Connections in one row of the answer.
TOGETHER = 250
_SHOWN = list(overview_query.statement().selected_columns)
_Line = namedtuple("_Line", [column.key for column in _SHOWN])  # type: ignore[misc]


def read(transaction: Transaction) -> list[str]:
    """Return a line for each connection, in no order.

    Raises DBAPIError where a value fits into no JSON, as bytes do.
    """
    found = transaction.scalars(_statement(transaction.dialect.name))
    return [line for lines in found for line in lines.split("\n")]


def row(line: str) -> Any:
    """Return a line as the row that `overview_query` would give. Raises ValueError."""
    values = json.loads(line)
    return _Line._make(make(value) for make, value in zip(_READERS, values, strict=True))


def _statement(dialect: str) -> Select[Any]:
    values = list(map(_plain, _SHOWN))
    if dialect == "sqlite":
        lines = func.group_concat(func.json_array(*values), literal("\n"))
    else:
        line = cast(func.json_build_array(*values), Text)
        lines = func.string_agg(line, literal("\n"))
    record, status = Connection, ConnectionStatus
    together = select(lines).outerjoin_from(record, status, status.connection_id == record.id)
    return together.group_by(record.id.op("/")(TOGETHER))


def _plain(column: Any) -> Any:
    if column.key == "detail":
        # As text: PostgreSQL keeps the line breaks of a JSON value.
        return cast(ConnectionStatus.detail, Text)
    return column.element


def _reader(column: Any) -> Callable[[Any], Any]:
    kind = column.type
    if isinstance(kind, TypeDecorator):
        return lambda value: kind.process_result_value(value, None)  # type: ignore[arg-type]
    return lambda value: value


_READERS = [_reader(column) for column in _SHOWN]
