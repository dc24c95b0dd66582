"""Messages as files: CSV for spreadsheets, JSON Lines for programs. Times are UTC.

A payload is there as text where that loses nothing, else in base64; `encoding` says which.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from webapp.exporting import BYTE_ORDER_MARK, safe
from webapp.messages.rows import Row, as_bytes

#: The columns of both formats.
COLUMNS = (
    "id",
    "received_at",
    "connection_id",
    "connection",
    "topic",
    "qos",
    "retain",
    "dup",
    "size",
    "encoding",
    "payload",
    "properties",
)


def csv_lines(slices: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield a heading and the rows; no cell can be taken for a formula."""
    yield BYTE_ORDER_MARK + _csv([COLUMNS])
    for rows in slices:
        yield _csv(
            [[_cell(value) for value in _entry(row, _is_printable).values()] for row in rows]
        )


def json_lines(slices: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Yield an object a line."""
    for rows in slices:
        yield "".join(json.dumps(_entry(row, lambda _: True), default=str) + "\n" for row in rows)


#: How each format is made, and its media type.
FORMATS: dict[str, tuple[Callable[[Iterable[Sequence[Row]]], Iterator[str]], str]] = {
    "csv": (csv_lines, "text/csv; charset=utf-8"),
    "jsonl": (json_lines, "application/jsonl; charset=utf-8"),
}


def _entry(row: Row, may_be_text: Callable[[str], bool]) -> dict[str, Any]:
    found = {name: row.get(name) for name in COLUMNS}
    moment = row["received_at"]
    if isinstance(moment, datetime):
        found["received_at"] = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    found["connection"] = row["name"]
    payload = as_bytes(row["payload"])
    found["size"] = len(payload)
    found["encoding"], found["payload"] = _payload(payload, may_be_text)
    found |= {flag: bool(row[flag]) for flag in ("retain", "dup")}
    return found


def _payload(data: bytes, may_be_text: Callable[[str], bool]) -> tuple[str, str]:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    if text is not None and may_be_text(text):
        return "text", text
    return "base64", base64.b64encode(data).decode("ascii")


def _is_printable(text: str) -> bool:
    return all(each.isprintable() or each in "\t\r\n" for each in text)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    text = json.dumps(value, default=str) if isinstance(value, Mapping) else str(value)
    return safe(text)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
