"""Events as files: CSV for spreadsheets, JSON Lines for programs. Times are UTC."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from database import reasons

#: The columns of both formats.
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
#: Spreadsheets take a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

Row = Mapping[str, Any]


def csv_lines(slices: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield a heading and the rows of each slice; no cell can be taken for a formula."""
    yield _csv([COLUMNS])
    for rows in slices:
        yield _csv([_cells(_entry(row)) for row in rows])


def json_lines(slices: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield an object a line."""
    for rows in slices:
        yield "".join(json.dumps(_entry(row), default=str) + "\n" for row in rows)


#: How each format is made, and its media type.
FORMATS: dict[str, tuple[Callable[[Iterable[Sequence[Row]]], Iterator[str]], str]] = {
    "csv": (csv_lines, "text/csv; charset=utf-8"),
    "jsonl": (json_lines, "application/jsonl; charset=utf-8"),
}


def safe(cell: str) -> str:
    """Return `cell` so that a spreadsheet shows it and never runs it."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _entry(row: Row) -> dict[str, Any]:
    found = {name: row.get(name) for name in COLUMNS}
    moment = row["at"]
    if isinstance(moment, datetime):
        found["at"] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    found["connection"] = row["name"]
    found["reason"] = reasons.explain(str(row["reason_code"]), row["detail"])
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
