"""The wall view in a browser: read by anybody, alive through an outage."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from database.words import ConnectionState as S
from tests.browser.conftest import Site
from tests.support.pages import serious, too_wide
from tests.web import rows


def test_a_wall_says_when_it_is_old_and_recovers_by_itself(
    site: Site, open_page: Callable[..., Page]
) -> None:
    for name, state in (("plant-1", S.CONNECTED), ("plant-2", S.REFUSED)):
        rows.status(site.engine, rows.record(site.engine, name, site=name), state)
    page = open_page("/login", viewport={"width": 390, "height": 844})
    page.goto("/admin/?kiosk=1")
    stale = page.locator("#stale")
    expect(stale).to_be_hidden()
    expect(page.locator("#wall_failing")).to_contain_text("plant-2")
    assert page.locator("main a, main button").count() == 0
    assert serious(page) == []
    assert not too_wide(page)
    page.context.set_offline(True)
    expect(stale).to_contain_text("the server does not answer")
    page.context.set_offline(False)
    rows.sql(site.engine, "update connection_status set state = 'connected'")
    expect(page.locator("#wall_verdict")).to_contain_text("All well")
    expect(stale).to_be_hidden()
    site.complaints.clear()  # The browser reports that it was offline.
