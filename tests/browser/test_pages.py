"""Every page: usable without sight of colours, at phone width, light and dark."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page
from sqlalchemy import insert, update

from database.clock import database_now
from database.models import ConnectionStatus, MessageTotals
from database.words import ALL_CONNECTIONS, CommandState, ConnectionState
from tests.browser.conftest import Site
from tests.support.pages import serious, too_wide
from tests.web import rows

Open = Callable[..., Page]


@pytest.fixture
def number(site: Site) -> int:
    """One connection in each state with an event; returns the id of the first."""
    ids = []
    for state in ConnectionState:
        ids.append(rows.record(site.engine, f"plant-{state}"))
        rows.status(site.engine, ids[-1], state, reason_code="peer_closed")
        rows.event(site.engine, ids[-1], state)
    rows.record(site.engine, "a-name-without-any-space-" * 7)
    for name in ("lost-1", "lost-2"):
        lost = rows.record(site.engine, name, host="lost.example")
        rows.status(site.engine, lost, ConnectionState.BACKOFF, down_since=database_now(-60.0))
    rows.status(
        site.engine,
        rows.record(site.engine, "secured", tls=True),
        broker_cert_subject="CN=" + "broker." * 20,
        broker_cert_expires_at=database_now(86400.0),
    )
    carry(site, ids[0])
    tested = rows.command(site.engine, "test")
    rows.result(site.engine, tested, CommandState.FAILED, result=rows.failed_test())
    return ids[0]


def carry(site: Site, number: int) -> None:
    """Let a connection carry messages, drop some, and miss one that is expected."""
    for owner in (number, ALL_CONNECTIONS):
        for seconds in (60, 900):
            counts = {"messages_in": 10**9, "bytes_in": 10**12, "messages_dropped": 10**8}
            rows.traffic(site.engine, owner, seconds=seconds, messages_out=5, **counts)
    dropped = {"messages_dropped": 10**9, "messages_set_aside": 1}
    with site.engine.begin() as transaction:
        mine = update(ConnectionStatus).where(ConnectionStatus.connection_id == number)
        transaction.execute(mine.values(dropped))
        times = dict.fromkeys(("oldest_at", "counted_at"), database_now())
        kept = {"connection_id": number, "messages": 10**9, "bytes": 10**12, **times}
        transaction.execute(insert(MessageTotals).values(kept))
    rows.subscription(
        site.engine, number, "a/#", 60, messages_in=10**9, quiet_since=database_now(-60.0)
    )


def paths(number: int) -> list[str]:
    return [
        "/admin/",
        "/admin/connections/",
        "/admin/connections/?search=nothing-like-it",
        "/admin/connections/?group=site&open=site-plant-connected",
        f"/admin/connections/new/?from={number}",
        f"/admin/connections/edit/?id={number}",
        f"/admin/connections/details/?id={number}",
        "/admin/events/",
        f"/admin/events/?connection={number}&state=connected",
        "/admin/commands/1/page",
        "/admin/certificates/",
        "/admin/messages/",
        "/admin/kept/",
        "/admin/workers/",
        "/admin/help/",
        "/change",
    ]


# The walk looks at the pages in all four ways; here they hold what is long and rare.
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_pages_have_no_serious_barrier_and_fit_the_window(
    open_page: Open, number: int, scheme: str, width: int
) -> None:
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    problems = []
    for path in paths(number):
        page.goto(path)
        problems += serious(page) + too_wide(page)
    assert problems == []


def test_the_login_and_a_refused_form_have_no_serious_barrier(open_page: Open) -> None:
    login = open_page("/login", signed_in=False)
    problems = serious(login)
    page = open_page("/admin/connections/new/")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Enter the broker's host name").wait_for()
    problems += serious(page)
    assert problems == []
