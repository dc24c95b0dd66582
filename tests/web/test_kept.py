"""What the pages say is kept of messages, and for how long."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from flask import Flask
from sqlalchemy import Engine, insert

from database.clock import database_now
from database.models import MessageTotals
from tests.web import rows
from tests.web.conftest import Visitor, signed_in
from tests.worker.service.worker import ONE_DATABASE

PAGE = "/admin/kept/"
_TAG = re.compile(r"<[^>]+>")


def totals(engine: Engine, connection_id: int, messages: int, octets: int, **values: Any) -> None:
    """Write what the worker counted of a connection."""
    row = {
        "connection_id": connection_id,
        "messages": messages,
        "bytes": octets,
        "oldest_at": database_now(-3_600),
        "counted_at": database_now(-5),
    }
    with engine.begin() as transaction:
        transaction.execute(insert(MessageTotals).values(**(row | values)))


def said(visitor: Visitor, path: str = PAGE, **arguments: Any) -> str:
    """Return the text of a page without its marks."""
    answer = visitor.get(path, query_string=arguments)
    assert answer.status_code == 200
    return " ".join(_TAG.sub(" ", answer.text).split())


def lines(visitor: Visitor) -> list[str]:
    """Return the text of each row of the table."""
    body = visitor.get(PAGE).text.partition("<tbody>")[2].partition("</tbody>")[0]
    return [" ".join(_TAG.sub(" ", row).split()) for row in body.split("</tr>")[:-1]]


def test_each_connection_with_messages_or_limits_of_its_own_is_told(
    make_app: Callable[..., Flask], engine: Engine
) -> None:
    viewer = signed_in(make_app(message_keep_days=7, message_keep_mb=50), "viewer")
    plain = rows.record(engine, "plain")
    own = rows.record(engine, "own", keep_messages_days=1, keep_messages_mb=5)
    rows.record(engine, "silent")
    totals(engine, plain, 12_345, 10_000_000)
    totals(engine, own + 5, 2, 2_500_000)
    page = said(viewer)
    assert "Messages 12,347 " in page
    assert "12.5 MB, 25.00% of 50 MB" in page
    told = lines(viewer)
    assert [line.split()[0] for line in told] == ["plain", "deleted,", "own"]
    assert "12,345 10 MB" in told[0]
    assert "for 7 days, as the installation 50 MB for all connections together" in told[0]
    assert "not at all: the connection was deleted nothing" in told[1]
    assert "for 1 day 5 MB, within 50 MB for all connections together" in told[2]


def test_the_page_of_a_connection_says_what_is_kept_of_it(viewer: Visitor, engine: Engine) -> None:
    number = rows.record(engine, keep_messages_days=90)
    other = rows.record(engine, "other")
    totals(engine, number, 4_000, 1_230_000)
    page = said(viewer, "/admin/connections/details/", id=number)
    assert re.search(r"Messages kept 4,000, 1\.2 MB The oldest came \d+ \w+ 20\d\d", page)
    assert "Kept for 90 days At most 2 GB for all connections together" in page
    page = said(viewer, "/admin/connections/details/", id=other)
    assert "Messages kept 0 Kept for 30 days, as the installation" in page


@ONE_DATABASE
def test_before_anything_was_counted_the_page_says_so(viewer: Visitor, engine: Engine) -> None:
    page = said(viewer)
    assert "Counted not yet" in page
    assert "No messages are stored yet." in page
    assert 'href="/admin/kept/"' in viewer.get("/admin/messages/").text


@ONE_DATABASE
def test_limits_that_plain_sql_left_are_told_as_the_worker_reads_them(
    viewer: Visitor, engine: Engine
) -> None:
    number = rows.record(engine)
    totals(engine, number, 1, 10, oldest_at=None)
    rows.sql(engine, "UPDATE connection SET keep_messages_days = 'x', keep_messages_mb = -1")
    assert "for 30 days, as the installation" in lines(viewer)[0]


@ONE_DATABASE
def test_counts_that_are_none_break_no_page(operator: Visitor, worker: Engine) -> None:
    number = rows.record(worker)
    rows.status(worker, number)
    totals(worker, number, 1, 10)
    rows.sql(worker, "UPDATE message_totals SET messages = 'many', bytes = 9e999")
    rows.sql(worker, "UPDATE connection_status SET messages_dropped = 'x', bytes_dropped = 'y'")
    assert "Messages kept 0 " in said(operator, "/admin/connections/details/", id=number)
    assert "No messages are stored yet." in said(operator)
    assert "at most" not in said(operator, "/admin/")
