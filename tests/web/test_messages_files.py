"""Messages as files: complete, harmless to spreadsheets, never much in memory at once."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import Any

import pytest
from sqlalchemy import Engine, QueuePool

from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.messages import MESSAGES, many, message
from tests.worker.service.worker import ONE_DATABASE
from webapp.messages import files, scan, streams
from webapp.messages.asking import Filter
from webapp.pages import messages as page

EXPORT = MESSAGES + "export"
BINARY = bytes(range(256))


def as_csv(visitor: Visitor, **arguments: Any) -> list[dict[str, str]]:
    answer = visitor.get(EXPORT, query_string=arguments | {"format": "csv"})
    assert answer.mimetype == "text/csv"
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline="")))


def as_json(visitor: Visitor, **arguments: Any) -> list[dict[str, Any]]:
    answer = visitor.get(EXPORT, query_string=arguments | {"format": "jsonl"})
    assert answer.mimetype == "application/jsonl"
    return [json.loads(line) for line in answer.text.split("\n") if line]


def in_use(engine: Engine) -> int:
    """Return how many connections to the database somebody holds."""
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedout()


def payload_of(entry: dict[str, Any]) -> bytes:
    text: str = entry["payload"]
    return base64.b64decode(text) if entry["encoding"] == "base64" else text.encode()


@ONE_DATABASE
def test_a_database_that_is_broken_is_a_page_and_no_half_file(
    operator: Visitor, engine: Engine
) -> None:
    message(engine, "a")
    rows.sql(engine, "alter table message rename to elsewhere")
    for kind in ("csv", "jsonl"):
        answer = operator.get(EXPORT, query_string={"format": kind})
        assert answer.status_code >= 500
        assert "attachment" not in answer.headers.get("Content-Disposition", "")
    assert "<h1" in answer.text


def test_both_files_hold_what_the_filter_finds_byte_for_byte(
    operator: Visitor, worker: Engine
) -> None:
    rows.record(worker)
    payloads = [b"21.5", BINARY, "grün\n".encode(), b"\x1b[31m", b"", b'a,"b"\r\nc']
    for payload in payloads:
        message(worker, "a/b", payload, properties={"content_type": "x"})
    message(worker, "other", b"not asked for")
    for found in (as_csv(operator, topic="a/+"), as_json(operator, topic="a/+")):
        assert [payload_of(entry) for entry in found] == payloads[::-1]
        assert tuple(found[0]) == files.COLUMNS
        assert found[0]["connection"] == "plant-1"
        assert found[0]["received_at"].endswith("Z")
    encodings = [entry["encoding"] for entry in as_csv(operator, topic="a/+")]
    assert encodings == ["text", "text", "base64", "text", "base64", "text"]
    assert as_json(operator)[-1]["properties"] == {"content_type": "x"}


@ONE_DATABASE
@pytest.mark.parametrize(
    ("payload", "cell"),
    [
        (b"=1+1", "'=1+1"),
        (b"@SUM(A1)", "'@SUM(A1)"),
        (b"-1+cmd", "'-1+cmd"),
        (b"\t=1", "'\t=1"),
        (b"-1", "'-1"),
        (b"+1", "'+1"),
    ],
)
def test_no_cell_can_be_taken_for_a_formula(
    operator: Visitor, worker: Engine, payload: bytes, cell: str
) -> None:
    message(worker, "=topic", payload)
    (entry,) = as_csv(operator)
    assert entry["payload"] == cell
    assert entry["topic"] == "'=topic"


@ONE_DATABASE
def test_an_export_goes_on_where_a_search_stops_and_ends_at_its_bound(
    operator: Visitor, worker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "GROWTH", 1)
    monkeypatch.setattr(streams, "BUDGET", 0.0)
    monkeypatch.setattr(streams, "SLICE", 7)
    many(worker, [{"payload": b"yes" if at % 10 == 0 else b"no"} for at in range(200)])
    found = [entry["id"] for entry in as_json(operator, text="yes")]
    assert found == list(range(191, 0, -10))
    monkeypatch.setattr(page, "EXPORT_ROWS", 10)
    assert [entry["id"] for entry in as_json(operator, text="yes")] == found[:10]
    assert len(as_csv(operator)) == 10


@ONE_DATABASE
def test_large_payloads_are_read_a_few_at_a_time(
    operator: Visitor, worker: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webapp.messages.rows.PART_BYTES", 1000)
    many(worker, [{"payload": b"x" * size} for size in (10, 400, 400, 400, 2000, 10)])
    read = []
    for part in streams.slices(worker, Filter(), 10):
        # Nobody knows when the browser takes the next part.
        assert in_use(worker) == 0
        read.append([len(row["payload"]) for row in part])
    assert read == [
        [10],
        [2000],
        [400, 400],
        [400, 10],
    ]


@ONE_DATABASE
def test_a_format_that_nobody_knows_is_refused(operator: Visitor, worker: Engine) -> None:
    assert operator.get(EXPORT + "?format=xml").status_code == 400
