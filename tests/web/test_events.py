"""The timeline: its filters, its pages and its export."""

from __future__ import annotations

import csv
import html
import io
import json
import re
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import Engine

from database.clock import database_now
from database.words import Certainty, Origin
from database.words import ConnectionState as S
from tests.web import rows
from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE
from webapp import exporting
from webapp.pages import events as page
from webapp.past import timeline

EVENTS = "/admin/events/"
EXPORT = EVENTS + "export"


@pytest.fixture
def plants(worker: Engine) -> tuple[int, int]:
    """Two connections with three events each: lost, refused an hour and a half ago, back."""
    ids = rows.record(worker, "plant-1"), rows.record(worker, "Plant-2")
    for number in ids:
        rows.event(
            worker,
            number,
            S.BACKOFF,
            previous_state=S.CONNECTED,
            reason_code="keepalive_timeout",
            detail={"seconds": 8.5},
            origin=Origin.NETWORK,
            at=database_now(-2 * 86400),
        )
    for number in ids:
        rows.event(
            worker,
            number,
            S.REFUSED,
            previous_state=S.CONNECTING,
            reason_code="duplicate_client_id",
            certainty=Certainty.INFERRED,
            raw_code=142,
            at=database_now(-5400),
        )
    for number in ids:
        rows.event(worker, number, S.CONNECTED, previous_state=S.CONNECTING)
    return ids


def ids(visitor: Visitor, **arguments: Any) -> list[int]:
    """Return the ids of the events on a page, in its order."""
    answer = visitor.get(EVENTS, query_string=arguments)
    assert answer.status_code == 200
    return [int(number) for number in re.findall(r"<dt>Event</dt><dd>(\d+),", answer.text)]


def exported(visitor: Visitor, **arguments: Any) -> list[dict[str, Any]]:
    answer = visitor.get(EXPORT, query_string=arguments | {"format": "jsonl"})
    assert answer.mimetype == "application/jsonl"
    return [json.loads(line) for line in answer.text.splitlines()]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({}, [6, 5, 4, 3, 2, 1]),
        ({"connection": "1"}, [5, 3, 1]),
        ({"name": "PLANT-2"}, [6, 4, 2]),
        ({"name": "plant_"}, []),
        ({"reason": "duplicate_client_id"}, [4, 3]),
        ({"state": "connected"}, [6, 5]),
        ({"span": "1h"}, [6, 5]),
        ({"span": "24h"}, [6, 5, 4, 3]),
        ({"connection": "1", "span": "24h", "state": "refused"}, [3]),
        ({"before": "3"}, [2, 1]),
        ({"reason": "never\x00 heard", "name": ""}, []),
        ({"state": "nonsense", "span": "nonsense", "connection": "-1", "before": "x"}, None),
    ],
)
def test_filters_narrow_the_page_and_the_export_alike(
    operator: Visitor, plants: tuple[int, int], arguments: dict[str, str], found: list[int] | None
) -> None:
    wanted = [6, 5, 4, 3, 2, 1] if found is None else found
    assert ids(operator, **arguments) == wanted
    if "before" not in arguments:
        assert [entry["id"] for entry in exported(operator, **arguments)] == wanted


@ONE_DATABASE
def test_an_event_tells_the_whole_story(operator: Visitor, plants: tuple[int, int]) -> None:
    text = operator.get(EVENTS, query_string={"connection": "1"}).text
    assert "Nothing came from the broker for 8.5 s." in text
    assert "Look at the network between this machine and the broker." in text
    assert "the network, certain" in text
    assert "the broker, inferred" in text
    assert "<dd>142</dd>" in text
    assert "became" in text
    assert "Events of plant-1" in text
    assert "another client uses its client id</option>" in text


@ONE_DATABASE
def test_a_death_that_is_found_out_days_later_is_not_of_today(
    operator: Visitor, worker: Engine, plants: tuple[int, int]
) -> None:
    rows.event(worker, 1, S.PENDING, reason_code="worker_died", at=database_now(-5 * 86400))
    assert ids(operator, span="24h") == [6, 5, 4, 3]
    assert ids(operator)[0] == 7


def test_tries_in_a_row_can_be_hidden(operator: Visitor, worker: Engine) -> None:
    for state, before in (
        *((S.CONNECTING, S.PENDING), (S.CONNECTED, S.CONNECTING), (S.BACKOFF, S.CONNECTED)),
        *((S.CONNECTING, S.BACKOFF), (S.REFUSED, S.CONNECTING), (S.CONNECTING, S.REFUSED)),
        *((S.CONNECTED, S.CONNECTING), (S.BACKOFF, None)),
    ):
        rows.event(worker, 1, state, previous_state=before)
    assert ids(operator, tries="hidden") == [8, 7, 3, 2, 1]
    assert [entry["id"] for entry in exported(operator, tries="hidden")] == [8, 7, 3, 2, 1]


REFUSED, NO_NAME = "tcp_refused", "dns_failed"


@pytest.mark.parametrize("noted", [False, True])
def test_a_repetition_is_what_was_told_last_since_it_was_up(
    operator: Visitor, worker: Engine, noted: bool
) -> None:
    number = rows.record(worker, is_enabled=True)
    rows.status(worker, number, S.BACKOFF, reason_code=NO_NAME)
    told = []
    for state, before, why, is_new in (
        (S.PENDING, None, "enabled", True),
        (S.CONNECTING, S.PENDING, "enabled", True),
        # It never worked: what it failed with is news, once.
        (S.BACKOFF, S.CONNECTING, REFUSED, True),
        (S.CONNECTING, S.BACKOFF, REFUSED, False),
        (S.BACKOFF, S.CONNECTING, REFUSED, False),
        # So is another reason, and the first one after that again.
        (S.CONNECTING, S.BACKOFF, REFUSED, False),
        (S.COOLDOWN, S.CONNECTING, NO_NAME, True),
        (S.CONNECTING, S.COOLDOWN, NO_NAME, False),
        (S.BACKOFF, S.CONNECTING, REFUSED, True),
        (S.CONNECTING, S.BACKOFF, REFUSED, False),
        # And everything after a session.
        (S.CONNECTED, S.CONNECTING, "success", True),
        (S.BACKOFF, S.CONNECTED, REFUSED, True),
        (S.CONNECTING, S.BACKOFF, REFUSED, False),
        (S.BACKOFF, S.CONNECTING, NO_NAME, True),
    ):
        note = {"is_repetition": not is_new} if noted else {}
        rows.event(worker, number, state, previous_state=before, reason_code=why, **note)
        told.append(is_new)
    expected = [place for place, is_new in enumerate(told, 1) if is_new]
    assert ids(operator, connection=str(number), tries="hidden") == expected[::-1]
    page = operator.get("/admin/connections/details/", query_string={"id": number}).text
    assert re.findall(r'id="event-(\d+)"', page) == list(map(str, expected[::-1]))


def test_a_connection_that_never_worked_says_why_in_timeline_ribbon_and_tooltip(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    begun = database_now(-5400)
    rows.status(worker, number, S.BACKOFF, reason_code=REFUSED, down_since=database_now(-5399))
    before: S | None = None
    for state, ago in ((S.PENDING, 5400), (S.CONNECTING, 5400), (S.BACKOFF, 5399)):
        why = REFUSED if state is S.BACKOFF else "enabled"
        at = begun if ago == 5400 else database_now(-ago)
        rows.event(worker, number, state, previous_state=before, reason_code=why, at=at)
        before = state
    for ago in range(5390, 0, -600):
        for state in (S.CONNECTING, S.BACKOFF):
            values = {"previous_state": before, "reason_code": REFUSED, "at": database_now(-ago)}
            rows.event(worker, number, state, **values)
            before = state
    page = html.unescape(
        operator.get("/admin/connections/details/", query_string={"id": number}).text
    )
    titles = re.findall(r'<rect class="down"[^>]*><title>([^<]*)</title>', page)
    assert titles
    assert [title for title in titles if not title.endswith("connection refused")] == []
    events = page.split("Events, newest first")[1]
    assert "Nothing accepts connections on" in events
    assert len(re.findall(r'id="event-', page)) == 3


@ONE_DATABASE
def test_pages_follow_each_other_without_counting(
    operator: Visitor, plants: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "PAGE_SIZE", 4)
    first = operator.get(EVENTS).text
    (older,) = re.findall(r'href="(/admin/events/\?before=\d+)" rel="next"', first)
    assert ids(operator) == [6, 5, 4, 3]
    last = operator.get(older).text
    assert re.findall(r"<dt>Event</dt><dd>(\d+),", last) == ["2", "1"]
    assert 'rel="next"' not in last
    assert 'rel="first"' in last


@ONE_DATABASE
def test_a_search_in_vain_stops_and_can_be_continued(
    operator: Visitor, worker: Engine, plants: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "SEARCHED", 3)
    rows.event(worker, 4711, S.CONNECTED)
    rows.event(worker, 4711, S.CONNECTED)
    rows.event(worker, 4711, S.CONNECTED)
    text = operator.get(EVENTS, query_string={"name": "plant-1"}).text
    assert "Look further back" in text
    (older,) = re.findall(r'href="(/admin/events/\?before=[^"]+)" rel="next"', text)
    assert "name=plant-1" in older
    assert re.findall(r"<dt>Event</dt><dd>(\d+),", operator.get(html.unescape(older)).text) == ["5"]
    assert [entry["id"] for entry in exported(operator, name="plant-1")] == [5, 3, 1]


@ONE_DATABASE
def test_the_csv_holds_every_column_and_utc_times(
    operator: Visitor, plants: tuple[int, int]
) -> None:
    answer = operator.get(EXPORT, query_string={"format": "csv", "connection": "1"})
    assert answer.mimetype == "text/csv"
    assert re.search(r'filename="hawser-events-\d{8}T\d{6}Z\.csv"', str(answer.headers))
    table = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    assert list(table[0]) == list(exporting.COLUMNS)
    assert [row["state"] for row in table] == ["connected", "refused", "backoff"]
    assert table[1]["raw_code"] == "142"
    assert table[2]["reason"] == "Nothing came from the broker for 8.5 s."
    assert json.loads(table[2]["detail"]) == {"seconds": 8.5}
    assert datetime.fromisoformat(table[0]["at"]).utcoffset() is not None


@ONE_DATABASE
@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_no_cell_begins_a_formula(operator: Visitor, worker: Engine, start: str) -> None:
    number = rows.record(worker, f"{start}cmd|' /C calc'!A0")
    rows.event(worker, number, S.BACKOFF, reason_code="=1+1", raw_code=-104)
    answer = operator.get(EXPORT, query_string={"format": "csv"})
    (row,) = csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"), newline=""))
    assert row["connection"].startswith(f"'{start}")
    assert row["reason_code"] == "'=1+1"
    assert row["raw_code"] == "'-104"


@ONE_DATABASE
def test_an_export_is_made_in_slices_up_to_its_limit(
    operator: Visitor, plants: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "SLICE", 2)
    assert [entry["id"] for entry in exported(operator)] == [6, 5, 4, 3, 2, 1]
    monkeypatch.setattr(exporting, "ROWS", 5)
    assert len(exported(operator)) == 5


@ONE_DATABASE
def test_an_export_in_no_known_format_is_refused(operator: Visitor) -> None:
    assert operator.get(EXPORT, query_string={"format": "xlsx"}).status_code == 400


@ONE_DATABASE
def test_events_of_deleted_connections_and_later_versions_are_shown(
    operator: Visitor, worker: Engine
) -> None:
    rows.event(worker, 4711, S.CONNECTED)
    rows.sql(
        worker,
        "update connection_event set state = 'hibernating', reason_code = 'frost', at = 'no time'",
    )
    text = operator.get(EVENTS, query_string={"connection": "4711"}).text
    assert "hibernating" in text
    assert "of a deleted connection" in text
    assert exported(operator)[0]["state"] == "hibernating"


@ONE_DATABASE
@pytest.mark.parametrize(
    "garbage",
    [
        *("reason_code = x'ff00'", "reason_code = 7", "state = x'ff'", "state = 5"),
        *("previous_state = x'00'", "origin = x'ff'", "certainty = 3", "raw_code = 'many'"),
        *("detail = '{'", "detail = '[1]'", "at = 17", "at = x'ff'"),
    ],
)
def test_garbage_written_by_sql_breaks_neither_page_nor_export(
    operator: Visitor, plants: tuple[int, int], worker: Engine, garbage: str
) -> None:
    rows.status(worker, plants[0])
    rows.sql(worker, f"update connection_event set {garbage}")
    for address in (
        *(EVENTS, EVENTS + "?connection=1&span=24h", EVENTS + "?tries=hidden&name=plant"),
        *(EXPORT + "?format=csv", EXPORT + "?format=jsonl", "/admin/", "/admin/connections/"),
        "/admin/connections/details/?id=1",
    ):
        assert operator.get(address).status_code == 200, address
