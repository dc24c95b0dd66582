"""The dashboard and the poll that keeps pages fresh."""

from __future__ import annotations

import json

from sqlalchemy import Engine

from database.words import ConnectionState as S
from database.words import WorkerState
from tests.web import rows
from tests.web.conftest import Visitor

LIVE = "/admin/live"


def test_the_dashboard_shows_the_worst_first(operator: Visitor, worker: Engine) -> None:
    for name, state in (("fine", S.CONNECTED), ("bad", S.REFUSED), ("slow", S.BACKOFF)):
        rows.status(worker, rows.record(worker, name), state)
    page = operator.get("/admin/").text
    table = page[page.index("<table") :]
    assert table.index(">bad<") < table.index(">slow<") < table.index(">fine<")
    assert "2 of 3 enabled connections are not connected" in page


def test_without_connections_the_dashboard_leads_on(operator: Visitor, worker: Engine) -> None:
    assert "Add the first connection" in operator.get("/admin/").text


def test_a_silent_worker_is_announced_on_every_live_page(operator: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, age=42)
    number = rows.record(engine)
    for page in ("", "connections/", f"connections/details/?id={number}"):
        found = operator.get(f"/admin/{page}").text
        assert "Worker silent" in found
        assert "supervisorctl status" in found
        assert "unknown" in found


def test_a_stopped_worker_is_announced(operator: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, state=WorkerState.STOPPED)
    assert "The worker is stopped" in operator.get("/admin/").text


def test_an_unchanged_picture_costs_no_body(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.status(worker, number)
    for query in ("", f"?show=rows&ids={number}", f"?show=details&ids={number}"):
        first = operator.get(LIVE + query)
        again = operator.get(LIVE + query, headers={"If-None-Match": first.headers["ETag"]})
        assert (first.status_code, again.status_code, again.data) == (200, 304, b"")
        assert again.headers["Hawser-Heartbeat-Age"]


def test_a_changed_state_is_sent(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.status(worker, number)
    first = operator.get(LIVE)
    rows.sql(worker, "update connection_status set state = 'refused'")
    again = operator.get(LIVE, headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 200
    assert "refused" in json.loads(again.text)["parts"]["worst"]


def test_rows_are_asked_for_by_id(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker, "one")
    rows.record(worker, "two")
    parts = json.loads(operator.get(f"{LIVE}?show=rows&ids={number},abc,").text)["parts"]
    assert set(parts) == {
        "banner",
        f"state-{number}",
        f"reason-{number}",
        f"since-{number}",
        f"day-{number}",
        f"messages-{number}",
    }


def test_the_poll_of_an_ended_session_is_401(anonymous: Visitor) -> None:
    assert anonymous.get(LIVE, headers={"Accept": "application/json"}).status_code == 401


def test_events_can_be_narrowed_to_one_connection(operator: Visitor, worker: Engine) -> None:
    one, two = rows.record(worker, "one"), rows.record(worker, "two")
    rows.event(worker, one, S.CONNECTED)
    rows.event(worker, two, S.REFUSED, reason_code="banned")
    assert "has banned" in operator.get("/admin/events/").text
    assert "has banned" not in operator.get(f"/admin/events/?connection={one}").text


def test_events_outlive_their_record(operator: Visitor, worker: Engine) -> None:
    rows.event(worker, 4711, S.CONNECTED)
    assert "deleted, was 4711" in operator.get("/admin/events/").text
