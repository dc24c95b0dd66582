"""Rows as files: CSV for spreadsheets, JSON Lines for programs. Times are UTC."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from typing import Any, Protocol

from flask import Response
from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine

from database import reasons
from webapp import store

#: Rows of a file at most, and rows read at a time.
ROWS, SLICE = 100_000, 1_000
#: Spreadsheets take a cell that begins so for a formula.
_FORMULA = (*"=+-@\t\r\n", *"\uff1d\uff0b\uff0d\uff20")  # and in full width

#: Without it spreadsheets take UTF-8 for the encoding of their system, and break accents.
BYTE_ORDER_MARK = "\ufeff"

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """What a file holds: its columns in order, and how a row becomes them."""

    columns: tuple[str, ...]
    entry: Callable[[Any], Row]


def _event(row: Row) -> Row:
    reason = reasons.explain(str(row["reason_code"]), row["detail"])
    return {**row, "connection": row["name"], "reason": reason}


#: The columns of events in both formats.
COLUMNS = (
    "id",
    "at",
    "connection_id",
    "connection",
    "state",
    "previous_state",
    "reason_code",
    "reason",
    "origin",
    "certainty",
    "raw_code",
    "detail",
)
EVENTS = Table(COLUMNS, _event)


class Found(Protocol):
    """A page of a search: its rows, and the id before which the next one begins."""

    @property
    def rows(self) -> Sequence[Any]: ...
    @property
    def before(self) -> int | None: ...


def slices(
    engine: Engine, search: Callable[[Transaction, int | None, int], Found]
) -> Iterator[Sequence[Any]]:
    """Yield what `search(transaction, before, limit)` finds, each slice in a short transaction."""
    left, before = ROWS, None
    while left:
        with store.reading(engine) as transaction:
            found = search(transaction, before, min(left, SLICE))
        if found.rows:
            yield found.rows
        left -= len(found.rows)
        before = found.before
        if before is None:
            return


def csv_lines(slices: Iterable[Sequence[Any]], table: Table = EVENTS) -> Iterator[str]:
    """Yield a heading and the rows of each slice; no cell can be taken for a formula."""
    yield BYTE_ORDER_MARK + _csv([table.columns])
    for rows in slices:
        yield _csv([_cells(_entry(row, table)) for row in rows])


def json_lines(slices: Iterable[Sequence[Any]], table: Table = EVENTS) -> Iterator[str]:
    """Yield an object a line."""
    for rows in slices:
        yield "".join(json.dumps(_entry(row, table), default=str) + "\n" for row in rows)


#: How each format is made, and its media type.
FORMATS: dict[str, tuple[Callable[..., Iterator[str]], str]] = {
    "csv": (csv_lines, "text/csv; charset=utf-8"),
    "jsonl": (json_lines, "application/jsonl; charset=utf-8"),
}


def download(name: str, kind: str, table: Table, slices: Iterable[Sequence[Any]]) -> Response:
    """Return a file of `slices` that is made while it is sent; `kind` is one of `FORMATS`."""
    lines, media_type = FORMATS[kind]
    made = lines(begun(slices), table)
    answer = Response(made, mimetype=None, content_type=media_type)
    file_name = f"hawser-{name}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.{kind}"
    answer.headers["Content-Disposition"] = f'attachment; filename="{file_name}"'
    return answer


def begun(parts: Iterable[Any]) -> Iterator[Any]:
    """Return `parts`, the first of which is read now.

    A database that is away is an error page then, not half a file.
    """
    rest = iter(parts)
    return chain(list(islice(rest, 1)), rest)


def safe(cell: str) -> str:
    """Return `cell` so that a spreadsheet shows it and never runs it."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _entry(row: Any, table: Table) -> dict[str, Any]:
    given = table.entry(row)
    found = {name: given.get(name) for name in table.columns}
    moment = found["at"]
    if isinstance(moment, datetime):
        found["at"] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return found


def _cells(entry: Mapping[str, Any]) -> list[str]:
    texts = (
        json.dumps(value, default=str) if isinstance(value, Mapping) else value
        for value in entry.values()
    )
    return ["" if value is None else safe(str(value)) for value in texts]


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
