"""The reader's time: one zone on a page, named, and dates as in the reader's country."""

from __future__ import annotations

import html
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from database.words import ConnectionState as S
from tests.web import rows
from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE

#: In Rome it is one hour later.
AT = datetime(2026, 1, 23, 23, 30, 5, tzinfo=UTC)


def times(visitor: Visitor, path: str, accept: str = "") -> list[str]:
    """Return the titles of all times of a page, its summaries and the bars of its charts."""
    page = visitor.get(path, headers={"Accept-Language": accept}).text
    return re.findall(r'<time [^>]*title="([^"]*)"', html.unescape(page))


@ONE_DATABASE
@pytest.mark.parametrize(
    ("zone", "accept", "shown"),
    [
        (None, "", "23 Jan 2026, 23:30:05 UTC"),
        ("Europe/Rome", "", "24 Jan 2026, 00:30:05 CET"),
        ("Europe/Rome", "en-US,en;q=0.9", "Jan 24, 2026, 12:30:05\N{NARROW NO-BREAK SPACE}AM CET"),
        ("America/New_York", "it-IT", "23 gen 2026, 18:30:05 EST"),
        ("Asia/Kathmandu", "en-GB", "24 Jan 2026, 05:15:05 UTC+0545"),
        ("Nowhere/Else", "", "23 Jan 2026, 23:30:05 UTC"),
        ("../../etc/x", "", "23 Jan 2026, 23:30:05 UTC"),
    ],
)
def test_times_are_the_readers_own_until_utc_is_chosen(
    operator: Visitor, worker: Engine, zone: str | None, accept: str, shown: str
) -> None:
    number = rows.record(worker)
    detail = {"at": "2026-01-23 23:30:05 UTC"}
    rows.event(worker, number, S.PENDING, reason_code="worker_died", detail=detail, at=AT)
    if zone:
        operator.client.set_cookie("hawser-zone", zone)
    assert times(operator, "/admin/events/", accept) == [shown]
    page = (
        html.unescape(operator.get("/admin/events/", headers={"Accept-Language": accept}).text)
        .partition("<table")[2]
        .partition("</table>")[0]
    )
    assert page.count(shown) >= 3, "title, text, sentence and details tell the same"
    assert ("UTC" in page) == ("UTC" in shown)
    operator.post("/admin/help/look", {"clock": "utc", "here": "/admin/events/"})
    assert times(operator, "/admin/events/") == ["23 Jan 2026, 23:30:05 UTC"]
    operator.post("/admin/help/look", {"clock": "local", "here": "/admin/events/"})
    assert times(operator, "/admin/events/", accept) == [shown]


@ONE_DATABASE
def test_ribbons_and_what_is_kept_of_them_follow_the_zone(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    rows.status(worker, number, connected_since=datetime(2026, 1, 1, tzinfo=UTC))
    for zone, label in ((None, "UTC"), ("Asia/Tokyo", "JST"), ("Pacific/Honolulu", "HST")):
        if zone:
            operator.client.set_cookie("hawser-zone", zone)
        for path in ("", "connections/", f"connections/details/?id={number}"):
            page = operator.get(f"/admin/{path}").text
            titles = re.findall(r"<title>([^<]* to [^<]*)</title>", page)
            assert titles
            assert [title for title in titles if f" {label}:" not in title] == []


@ONE_DATABASE
def test_times_that_are_entered_are_the_readers_own(operator: Visitor, worker: Engine) -> None:
    from tests.web.messages import MESSAGES, message

    message(worker, "a/b", received_at=AT)
    asked = f"{MESSAGES}?since=2026-01-24+00:30&until=2026-01-24+00:31"
    assert ">a/b<" not in operator.get(asked).text
    operator.client.set_cookie("hawser-zone", "Europe/Rome")
    page = operator.get(asked).text
    assert "From (CE" in page
    assert "a/b" in page.partition("<tbody")[2]
