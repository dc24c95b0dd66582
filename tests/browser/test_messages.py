"""The message browser, in a real browser: following live, going on with a search."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Site
from tests.support.pages import serious, too_wide
from tests.web import rows
from tests.web.messages import dead_letter, many, message

Open = Callable[..., Page]
HOSTILE = "<img src=x onerror=\"document.title='gone'\">\u202etxt.exe"


def test_new_messages_come_on_top_while_one_follows(site: Site, open_page: Open) -> None:
    rows.record(site.engine, "plant-1")
    page = open_page("/admin/messages/?topic=plant/%23")
    expect(page.get_by_text("No message matches.")).to_be_visible()
    page.get_by_role("button", name="Follow live").click()
    expect(page.get_by_text("Live, 0 came")).to_be_visible()
    message(site.engine, "plant/1/state", b"first")
    message(site.engine, "elsewhere", b"never")
    expect(page.get_by_role("cell", name="first")).to_be_visible()
    message(site.engine, f"plant/{HOSTILE}", HOSTILE.encode())
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_contain_text("\\u202etxt.exe")
    expect(page.get_by_text("Live, 2 came")).to_be_visible()
    expect(page.get_by_text("never")).to_have_count(0)
    many(site.engine, [{"topic": "plant/2", "payload": b"flood"}] * 80)
    expect(page.get_by_text("30 more came in between than are shown here.")).to_be_visible()

    page.get_by_role("button", name="Stop following").click()
    expect(page.get_by_text("Stopped; 82 came")).to_be_visible()
    page.get_by_role("link", name="plant/1/state").click()
    expect(page.get_by_role("heading", name="plant/1/state")).to_be_visible()
    assert "gone" not in page.title()


def test_a_search_that_is_not_done_goes_on_by_itself(site: Site, open_page: Open) -> None:
    many(site.engine, [{"payload": b"needle"}, *([{}] * 30)])
    page = open_page("/admin/messages/?text=" + "€" * 333)
    expect(page.get_by_text("No message matches.")).to_be_visible()
    page.route(re.compile("/admin/messages/[?].*text=needle"), _as_if_stopped)
    page.get_by_label("Text in the payload").fill("needle")
    page.get_by_role("button", name="Filter", exact=True).click()
    expect(page.get_by_role("cell", name="needle")).to_be_visible()
    expect(page.get_by_text("That is all.")).to_be_visible()
    expect(page.get_by_role("link", name="Search further back")).to_have_count(0)


def _as_if_stopped(route: Route) -> None:
    """Answer with a page whose search was stopped at once: there is more to look through."""
    answer = route.fetch()
    before, _, rest = answer.text().partition("<tbody>")
    onward = (
        '<a data-onward data-stopped="yes" href="/admin/messages/?text=needle&before=31">'
        "Search further back</a><button data-stop hidden>Stop searching</button>"
    )
    after = rest.partition("</tbody>")[2].replace('"Pages">', f'"Pages">{onward}')
    route.fulfill(response=answer, body=f"{before}<tbody></tbody>{after}")


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_its_pages_have_no_serious_barrier_and_fit_the_window(
    site: Site, open_page: Open, scheme: str, width: int
) -> None:
    rows.record(site.engine, "plant-1")
    message(site.engine, "plant/hall-7/sensor/temperature", b'{"value": [1.10, {"unit": "C"}]}')
    message(site.engine, "x" * 3_000, HOSTILE.encode() * 50, retain=True, dup=True, qos=2)
    message(site.engine, "a/b", bytes(range(256)) * 20, properties={"content_type": "x" * 500})
    dead_letter(site.engine, b"a\x00b", "It holds a NUL.")
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    paths = ("", "?topic=a/%23/b&since=x&text=y", "?span=1h", "1/", "2/", "3/", "set-aside/")
    problems = []
    for path in paths:
        page.goto(f"/admin/messages/{path}")
        problems += serious(page) + too_wide(page)
    assert problems == []
