"""A session that ends while its page is open: the page says so."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.web import rows

LONG_AGO = "2000-01-01 00:00:00.000000"


def test_an_open_page_leads_to_the_sign_in_and_says_why(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/login")
    page.goto("/admin/connections/")
    rows.sql(site.engine, "update user_session set seen_at = :moment", moment=LONG_AGO)
    expect(page.get_by_text("Your session has ended. Sign in again.")).to_be_visible()
    assert "next=/admin/connections/" in page.url
    # The browser reports the answer 401 to the poll.
    site.complaints.clear()


def test_an_open_wall_says_that_its_session_has_ended(
    site: Site, open_page: Callable[..., Page]
) -> None:
    page = open_page("/login")
    page.goto("/admin/?kiosk=1")
    rows.sql(site.engine, "update user_session set seen_at = :moment", moment=LONG_AGO)
    expect(page.locator("#stale")).to_contain_text("the session has ended: sign in again")
    site.complaints.clear()
