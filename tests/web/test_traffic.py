"""What connections carry: windows, bars and lines, on the pages that show them."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from flask_babel import Babel
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, event

from database.clock import database_now
from database.words import ALL_CONNECTIONS
from database.words import ConnectionState as S
from tests.web import rows
from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE
from webapp.messages import charts
from webapp.messages.traffic import DAY, HOUR, Counts, Series, windows
from webapp.store import db

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
DETAILS = "/admin/connections/details/"
_counts = st.builds(Counts, *[st.integers(0, 10**9)] * 6)


def series(*recent: int, seconds: float = 15.0, span: Any = HOUR) -> Series:
    """Return a series whose last buckets hold so many messages, `seconds` into the present one."""
    empty = [Counts()] * (span.number + 1 - len(recent))
    buckets = [*empty, *(Counts(messages_in=number, bytes_in=number) for number in recent)]
    return Series(span, NOON + timedelta(seconds=seconds), buckets)


# --- windows


def test_the_last_minute_takes_of_the_minute_before_what_still_lies_in_it() -> None:
    assert series(60, 10, seconds=15.0).window(1).messages_in == 10 + 60 * 0.75
    assert series(60, 10, seconds=0.0).window(1).messages_in == 70


def test_an_hour_is_sixty_minutes_long() -> None:
    full = series(*[60] * 61, seconds=30.0)
    # Half of the present minute is still to come, half of the oldest has gone.
    assert full.window(60).messages_in == 60 * 60 + 30


def test_the_windows_are_a_minute_an_hour_and_a_day() -> None:
    found = dict(windows(series(60, 0, seconds=30.0), series(900, 0, seconds=450.0, span=DAY)))
    assert {words: sums.messages_in for words, sums in found.items()} == {
        "1 min": 30,
        "1 h": 60,
        "24 h": 900,
    }


@given(st.lists(_counts, min_size=61, max_size=61), st.floats(0, 59.9))
def test_no_window_holds_more_than_was_counted(buckets: list[Counts], seconds: float) -> None:
    found = Series(HOUR, NOON + timedelta(seconds=seconds), buckets)
    minute, hour = found.window(1), found.window(60)
    for place, field in enumerate(Counts._fields):
        assert 0 <= minute[place] <= hour[place] * (1 + 1e-9), field
        assert hour[place] <= sum(each[place] for each in buckets) * (1 + 1e-9), field


# --- pictures


def drawn(given: Series) -> charts.Chart:
    """Return a chart as a page in English shows it."""
    with _english.app_context():
        return charts.chart(given)


_english = Flask("charts")
Babel(_english)


@given(st.lists(_counts, min_size=61, max_size=61))
def test_every_bar_stays_in_the_chart_and_can_be_seen(buckets: list[Counts]) -> None:
    chart = drawn(Series(HOUR, NOON, buckets))
    for bar in chart.bars:
        assert 0 <= bar.x < chart.number
        assert bar.came + bar.dropped <= charts.HEIGHT + charts.LEAST
        for height in (bar.came, bar.dropped, bar.out):
            assert height == 0 or charts.LEAST <= height <= charts.HEIGHT


def test_a_bar_tells_its_time_and_what_passed() -> None:
    (bar,) = drawn(series(120, 0, 0)).bars
    assert (bar.x, bar.came) == (57, charts.HEIGHT)
    assert bar.title == "23 Nov 11:58 UTC: 120 in (120 B)"


def test_a_line_has_a_point_a_minute() -> None:
    found = charts.sparkline(series(60, 120, 60))
    assert found is not None
    assert found.path.count("L") == 59
    assert found.summary == "Last hour: messages, at most 2.5/s, now 2.5/s"
    assert charts.sparkline(series()) is None
    ended = charts.sparkline(series(1, 0, seconds=45.0))
    assert ended is not None
    assert ended.now == "none"


# --- pages


def carried(visitor: Visitor, number: int) -> str:
    """Return the part of a connection's page that shows its messages, and what follows."""
    page = visitor.get(DETAILS, query_string={"id": number}).text
    return page[page.index('id="carried"') :]


def figures(html: str) -> list[str]:
    """Return the cells of the table of figures as text."""
    table = html[html.index("<table") : html.index("</table>")]
    cells = re.findall(r"<td[^>]*>(.*?)</td>", table, re.DOTALL)
    return [" ".join(re.sub(r"<[^>]+>", " ", cell).split()) for cell in cells]


def test_the_page_of_a_connection_shows_what_it_carried(operator: Visitor, worker: Engine) -> None:
    number, other = rows.record(worker, "one"), rows.record(worker, "other")
    rows.status(worker, number)
    for seconds in (60, 900):
        rows.traffic(
            worker, number, seconds=seconds, messages_in=1500, bytes_in=12_000, messages_out=2
        )
        rows.traffic(worker, other, seconds=seconds, messages_in=9999)
    shown = carried(operator, number)
    assert figures(shown) == ["1,500 (12 kB)", "2 (0 B)"] * 3
    assert "9,999" not in shown
    assert 'aria-label="Last hour: messages, at most 25/s"' in shown
    assert "1,500 in (12 kB), 2 out" in shown
    assert "Dropped" not in shown


def test_what_is_old_is_in_the_day_only(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.traffic(worker, number, 90, messages_in=7)
    rows.traffic(worker, number, 90, seconds=900, messages_in=7)
    rows.traffic(worker, number, 60 * 25, seconds=900, messages_in=100)
    shown = carried(operator, number)
    assert figures(shown)[::2] == ["0", "0", "7 (0 B)"]
    assert "Last hour: no messages" in shown
    assert "Last 24 h: messages, at most 7 in 15 min" in shown


def test_dropped_and_set_aside_messages_are_told_with_what_to_do(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    rows.status(worker, number, messages_dropped=2000, bytes_dropped=5000, messages_set_aside=1)
    for seconds in (60, 900):
        rows.traffic(worker, number, seconds=seconds, messages_dropped=30, bytes_dropped=5)
    shown = carried(operator, number)
    assert "2,000 messages (5 kB) dropped since the worker started" in shown
    assert "subscribe with QoS 1" in shown
    assert "1 message set aside since the worker started" in shown
    assert f"/admin/messages/set-aside/?connection={number}" in shown
    assert figures(shown)[2] == "30 (5 B)"


def test_the_dashboard_shows_all_connections_together(operator: Visitor, worker: Engine) -> None:
    rows.record(worker)
    assert "Messages of all connections" not in operator.get("/admin/").text
    for seconds in (60, 900):
        rows.traffic(worker, ALL_CONNECTIONS, seconds=seconds, messages_in=600, bytes_in=3000)
    page = operator.get("/admin/").text
    assert 'aria-label="Last hour: messages, at most 10/s"' in page
    assert "Messages, last hour" in page
    assert page.count('600 <span class="quiet">(3 kB)</span></span> in') == 2
    assert "dropped" not in page


@ONE_DATABASE
def test_the_list_reads_the_lines_of_all_rows_at_once(
    app: Flask, operator: Visitor, worker: Engine
) -> None:
    ids = [rows.record(worker, f"plant-{number}") for number in range(30)]
    rows.traffic(worker, ids[3], 1, messages_in=100, messages_dropped=20)
    statements: list[str] = []
    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    page = operator.get("/admin/connections/").text
    assert len([text for text in statements if "FROM connection_traffic" in text]) == 1
    assert page.count('class="spark"') == 1
    again = json.loads(operator.get(f"/admin/live?show=rows&ids={ids[3]},{ids[4]}").text)["parts"]
    assert "at most 2/s" in again[f"messages-{ids[3]}"]
    assert "20 dropped" in again[f"messages-{ids[3]}"]
    assert "none" in again[f"messages-{ids[4]}"]


@ONE_DATABASE
def test_counts_that_are_none_break_no_page(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.traffic(worker, number, messages_in=5)
    rows.sql(worker, "update connection_traffic set messages_in = 'many', bytes_in = -5")
    rows.sql(worker, "insert into connection_traffic values (1, 60, 'then', 1, 1, 1, 1, 1, 1)")
    rows.traffic(worker, number, 1, messages_in=1)
    rows.sql(worker, "update connection_traffic set messages_out = 9e999 where messages_in = 1")
    assert figures(carried(operator, number))[2:4] == ["1 (0 B)", "0"]
    assert operator.get("/admin/connections/").status_code == 200


# --- subscriptions


@pytest.mark.parametrize(("state", "is_told"), [(S.DEGRADED, True), (S.BACKOFF, False)])
def test_a_quiet_subscription_is_marked_while_a_session_stands(
    operator: Visitor, worker: Engine, state: S, is_told: bool
) -> None:
    number = rows.record(worker)
    rows.status(worker, number, state)
    quiet = {"last_message_at": database_now(-300.0), "quiet_since": database_now(-240.0)}
    rows.subscription(worker, number, "a/#", 60, messages_in=1234, **quiet)
    rows.subscription(worker, number, "b")
    page = operator.get(f"{DETAILS}?id={number}").text
    shown = page[page.index('id="heard"') :]
    assert "1,234" in shown
    assert "every 1 min" in shown
    assert ("overdue since" in shown) is is_told
    live = json.loads(operator.get(f"/admin/live?show=details&ids={number}").text)["parts"]
    assert ("overdue since" in live["heard"]) is is_told


def test_why_a_connection_is_degraded_by_silence_is_a_sentence(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    detail = {"topic_filter": "a/#", "every": 60}
    rows.status(worker, number, S.DEGRADED, reason_code="subscription_quiet", detail=detail)
    page = operator.get(f"{DETAILS}?id={number}").text
    assert "No message comes by a/#; one is expected at least every 60 s." in page
    assert "Look at what publishes there" in page
    assert (
        "expected messages do not come"
        in json.loads(operator.get("/api/v1/mqtt/health/").text)["output"]
    )
