"""The dashboard and the poll that keeps pages fresh."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, update

from database.clock import database_now
from database.models import WorkerHeartbeat
from database.words import ConnectionState as S
from database.words import WorkerState
from tests.web import rows
from tests.web.conftest import Visitor
from webapp.picture import live

LIVE = "/admin/live"


def test_the_dashboard_shows_the_worst_first(operator: Visitor, worker: Engine) -> None:
    for name, state in (("fine", S.CONNECTED), ("bad", S.REFUSED), ("slow", S.BACKOFF)):
        rows.status(worker, rows.record(worker, name), state)
    page = operator.get("/admin/").text
    table = page[page.index("<table") :]
    assert table.index(">bad<") < table.index(">slow<") < table.index(">fine<")
    assert "2 of 3 connections are down." in page


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


def test_what_was_deleted_elsewhere_is_not_shown_on_as_it_was(
    operator: Visitor, worker: Engine
) -> None:
    number, other = rows.record(worker, "one"), rows.record(worker, "two")
    details = f"{LIVE}?show=details&ids={number}"
    assert operator.get(details).status_code == 200
    rows.sql(worker, "delete from connection where id = :number", number=number)
    assert operator.get(details).status_code == 404
    for address in (f"{LIVE}?show=rows&ids=", "/admin/connections/live?ids="):
        parts = json.loads(operator.get(f"{address}{number},{other}").text)["parts"]
        assert "(deleted)" in parts[f"state-{number}"]
        assert parts[f"reason-{number}"] == ""
        assert "deleted" not in parts[f"state-{other}"]


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


def test_sites_that_need_a_look_lead_to_their_connections(
    operator: Visitor, worker: Engine
) -> None:
    for site, state in (("north", S.CONNECTED), ("south", S.REFUSED), ("south", S.CONNECTED)):
        rows.status(worker, rows.record(worker, f"{site}-{state}", site=site), state)
    page = operator.get("/admin/").text
    assert 'href="/admin/connections/?site=south"' in page
    assert 'href="/admin/connections/?site=south&amp;show=attention"' in page
    assert 'href="/admin/connections/?site=north"' not in page
    assert "1 of 2" in page
    assert "1 other site is fine." in page
    assert 'href="/admin/connections/?show=failing"' in page


def test_the_headline_counts_what_is_degraded_beside_what_is_down(
    operator: Visitor, worker: Engine
) -> None:
    states = {"up": S.CONNECTED, "down": S.REFUSED, "quiet": S.DEGRADED}
    for name, state in states.items():
        rows.status(worker, rows.record(worker, name), state, reason_code="message_overdue")
    page = operator.get("/admin/").text
    assert "1 of 3 connections is down." in page
    assert "1 connection has a problem." in page


def test_up_and_down_last_since_the_change_between_them_not_since_the_last_try(
    operator: Visitor, worker: Engine
) -> None:
    ago = {name: database_now(-seconds) for name, seconds in (("long", 5400), ("now", 5))}
    down, locked = rows.record(worker, "down"), rows.record(worker, "locked")
    tried: dict[str, Any] = {"for_seconds": 2, "attempt": 40, "reason_code": "tcp_refused"}
    rows.status(worker, down, S.BACKOFF, down_since=ago["long"], was_connected=True, **tried)
    # A database that was locked for a moment ends no session.
    held: dict[str, Any] = {"for_seconds": 20, "reason_code": "messages_stored_again"}
    rows.status(worker, locked, connected_since=ago["long"], **held)
    for path in ("", "connections/", f"connections/details/?id={down}", "?kiosk=1"):
        page = seen(operator, worker, path)
        assert age(page, r"Down for(?:</dt><dd>| )<time") == pytest.approx(5400, abs=60)
    for path in ("", "connections/", f"connections/details/?id={locked}"):
        page = seen(operator, worker, path)
        assert age(page, r"Up for(?:</dt><dd>| )<time") == pytest.approx(5400, abs=60)
    page = seen(operator, worker, f"connections/details/?id={down}")
    assert age(page, r"Last try</dt><dd><time") < 60
    health = json.loads(operator.get("/api/v1/mqtt/health/?connection=down").text)
    since = datetime.fromisoformat(health["connections"][0]["since"])
    assert (datetime.now(UTC) - since).total_seconds() < 60


def seen(visitor: Visitor, engine: Engine, path: str) -> str:
    """Return a page as it is while the worker beats, however slow this machine is."""
    with engine.begin() as transaction:
        transaction.execute(update(WorkerHeartbeat).values(beat_at=database_now()))
    return visitor.get(f"/admin/{path}").text


def age(page: str, before: str) -> float:
    """Return how many seconds ago the time after a text was."""
    found = re.search(f'{before} datetime="([^"]+)"', page)
    assert found, before
    return (datetime.now(UTC) - datetime.fromisoformat(found[1])).total_seconds()


def test_a_loss_within_the_grace_is_no_outage_yet(operator: Visitor, worker: Engine) -> None:
    for name in ("one", "two"):
        lost = rows.record(worker, name)
        rows.status(
            worker,
            lost,
            S.BACKOFF,
            for_seconds=1,
            attempt=1,
            down_since=database_now(-1.0),
        )
    page = operator.get("/admin/").text
    assert "0 of 2 enabled connections connected, 2 starting or lost for less than 10 s." in page
    assert "Outage of a broker" not in page


def test_the_dashboard_tells_of_its_database(operator: Visitor, worker: Engine) -> None:
    page = operator.get("/admin/").text
    assert ("SQLite 3" if worker.dialect.name == "sqlite" else "PostgreSQL 1") in page


def test_a_viewer_sees_the_wall_and_nothing_to_click(viewer: Visitor, worker: Engine) -> None:
    rows.status(worker, rows.record(worker, "bad-one", site="north"), S.REFUSED)
    rows.status(worker, rows.record(worker, "good-one", site="south"))
    page = viewer.get("/admin/?kiosk=1").text
    assert "bad-one" in page
    assert "north" in page
    assert "<form" not in page
    assert "<a " not in page
    parts = json.loads(viewer.get(f"{LIVE}?show=wall").text)["parts"]
    assert "Needs attention" in parts["wall_verdict"]


def test_a_change_of_the_mark_before_the_title_is_sent(app: Flask, worker: Engine) -> None:
    with app.test_request_context():
        found = live.picture()
        silent = replace(found, worker=None)
        assert live.title(found) != live.title(silent)
        # The parts may be the same: a connection that they do not show has gone down.
        tags = {live.answer(each, {}).headers["ETag"] for each in (found, silent)}
    assert len(tags) == 2
