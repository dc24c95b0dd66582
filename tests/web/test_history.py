"""The past as pages show it: ribbons and figures from rows."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Engine, event

from database.clock import database_now
from database.words import ConnectionState as S
from database.words import Origin
from tests.web import rows
from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE
from webapp.past import marks
from webapp.store import db
from webapp.wording import texts

HOUR = 3600.0
DETAILS = "/admin/connections/details/"
_SUMMARY = re.compile(r'<svg class="ribbon"[^>]* aria-label="([^"]+)"')
_BARS = re.compile(r'<rect class="(\w+)" x="(\d+)" y="[\d.]+" width="(\d+)"')


def summaries(visitor: Visitor, number: int) -> list[str]:
    """Return the three ribbons of a connection in words."""
    return _SUMMARY.findall(visitor.get(DETAILS, query_string={"id": number}).text)


def change(engine: Engine, number: int, hours_ago: float, state: S, before: S, why: str) -> None:
    rows.event(
        engine,
        number,
        state,
        previous_state=before,
        reason_code=why,
        origin=Origin.NETWORK,
        at=database_now(-hours_ago * HOUR),
    )


def test_the_figures_of_each_span_come_from_the_events_in_it(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    rows.status(worker, number, connected_since=database_now(-40.0))
    change(worker, number, 96, S.CONNECTED, S.CONNECTING, "success")
    change(worker, number, 48, S.BACKOFF, S.CONNECTED, "keepalive_timeout")
    for hours in (47.8, 47.6, 47.4):
        change(worker, number, hours, S.CONNECTING, S.BACKOFF, "retry")
        change(worker, number, hours - 0.1, S.BACKOFF, S.CONNECTING, "tcp_refused")
    change(worker, number, 46.5, S.CONNECTED, S.CONNECTING, "success")
    day, week, month = summaries(operator, number)
    assert day == "24 h: 100% up, 0 failures"
    # 1.5 h of 96 h, and the time that this test takes.
    assert re.fullmatch(r"7 days: 98\.4\d% up, 1 failure", week)
    assert re.fullmatch(r"30 days: 98\.4\d% up, 1 failure", month)
    page = operator.get(DETAILS, query_string={"id": number}).text
    assert "1 failure, on average one in 3 d" in page
    assert "nothing heard from the broker" in page


def test_a_session_older_than_its_events_is_still_uptime(operator: Visitor, worker: Engine) -> None:
    up, down = rows.record(worker, "up"), rows.record(worker, "down")
    rows.status(worker, up, connected_since=database_now(-40 * 86400.0))
    rows.status(worker, down, S.BACKOFF, down_since=database_now(-40 * 86400.0))
    change(worker, down, 0.1, S.BACKOFF, S.CONNECTING, "tcp_refused")
    assert summaries(operator, up)[2] == "30 days: 100% up, 0 failures"
    assert summaries(operator, down)[2] == "30 days: 0.00% up, 0 failures"


def test_after_the_last_heartbeat_nothing_is_known(operator: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, age=12 * HOUR)
    number = rows.record(engine)
    rows.status(engine, number, connected_since=database_now(-86400.0 * 3))
    page = operator.get("/admin/connections/").text
    bars = [(kind, int(width)) for kind, _, width in _BARS.findall(page)]
    assert [kind for kind, _ in bars] == ["up", "unknown"]
    assert 22 <= bars[1][1] <= 26


def test_a_connection_without_any_fact_says_so(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    assert summaries(operator, number)[0] == "24 h: not known"
    assert "24 h: not known" in operator.get("/admin/").text


def test_a_day_of_being_disabled_says_so(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker, is_enabled=False)
    rows.status(worker, number, S.DISABLED)
    change(worker, number, 40, S.DISABLED, S.CONNECTED, "disabled")
    assert summaries(operator, number)[0] == "24 h: disabled"
    assert "It was disabled." in operator.get(DETAILS, query_string={"id": number}).text


def test_the_shortest_downtime_is_told(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.status(worker, number)
    change(worker, number, 1, S.BACKOFF, S.CONNECTED, "peer_closed")
    change(worker, number, 1 - 0.2 / HOUR, S.CONNECTED, S.CONNECTING, "success")
    page = operator.get(DETAILS, query_string={"id": number}).text
    assert "Down for less than 1 s." in page


def test_a_new_event_appears_in_a_ribbon_that_was_read_before(
    operator: Visitor, worker: Engine
) -> None:
    number, other = rows.record(worker, "one"), rows.record(worker, "two")
    rows.status(worker, number, connected_since=database_now(-30 * HOUR))
    change(worker, number, 30, S.CONNECTED, S.CONNECTING, "success")
    first = operator.get("/admin/connections/").text
    assert "24 h: 100% up, 0 failures" in first
    change(worker, other, 0.1, S.CONNECTED, S.CONNECTING, "success")
    change(worker, number, 0.05, S.BACKOFF, S.CONNECTED, "peer_closed")
    again = json.loads(operator.get(f"/admin/live?show=rows&ids={number}").text)
    assert "1 failure" in again["parts"][f"day-{number}"]


def test_what_happens_while_the_past_is_read_counts_once(
    app: Flask, operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    rows.status(worker, number)
    change(worker, number, 2, S.CONNECTED, S.CONNECTING, "success")
    late = [number]

    def lose(*given: Any) -> None:
        if "max(connection_event.id)" in given[2] and late:
            change(worker, late.pop(), 0.1, S.BACKOFF, S.CONNECTED, "peer_closed")

    with app.app_context():
        event.listen(db.engine, "after_cursor_execute", lose)
    operator.get("/admin/connections/")
    assert not late
    assert "1 failure" in operator.get("/admin/connections/").text


def test_the_past_of_what_nobody_looks_at_does_not_grow(worker: Engine) -> None:
    shown, other = rows.record(worker, "shown"), rows.record(worker, "other")
    recent, now = marks.Recent(), datetime.now(UTC)
    change(worker, other, 48, S.CONNECTED, S.CONNECTING, "success")
    with worker.connect() as transaction:
        recent.of(transaction, [other], now - timedelta(hours=50))
    for hours in range(47, 30, -1):
        change(worker, other, hours, S.BACKOFF, S.CONNECTED, "peer_closed")
    with worker.connect() as transaction:
        recent.of(transaction, [shown], now - timedelta(hours=24))
    assert len(recent._known[other]) == 1


@ONE_DATABASE
def test_the_list_reads_the_past_of_all_rows_at_once(
    app: Flask, operator: Visitor, worker: Engine
) -> None:
    ids = [rows.record(worker, f"plant-{number}") for number in range(30)]
    for number in ids:
        rows.status(worker, number)
        change(worker, number, 2, S.CONNECTED, S.CONNECTING, "success")
    statements: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    operator.get("/admin/connections/")
    reads = [text for text in statements if "FROM connection_event" in text]
    assert len(reads) == 2, reads


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than 1 s"),
        (1.2, "1 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (7200, "2 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_duration_is_told_in_its_largest_units(seconds: float, words: str) -> None:
    assert texts.duration(seconds) == words


@pytest.mark.parametrize(
    ("value", "words"), [(100, "100%"), (99.9999, "99.99%"), (0, "0.00%"), (98, "98.00%")]
)
def test_short_of_everything_is_never_100_percent(value: float, words: str) -> None:
    assert texts.percent(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1800, "in less than 1 hour"),
        (3700, "in 1 hour"),
        (-1800, "expired less than 1 hour ago"),
        (-2 * 86_400, "expired 2 days ago"),
    ],
)
def test_an_expiry_is_told_in_days_and_near_it_in_hours(seconds: float, words: str) -> None:
    assert texts.expiry(seconds) == words
