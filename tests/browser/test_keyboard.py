"""Single keys, and a page that changes under the hand of whoever uses it."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Dialog, Page, Route, expect

from database.words import ConnectionState as S
from tests.browser.conftest import Site
from tests.support.pages import dismissing, serious
from tests.web import rows

Open = Callable[..., Page]
LIST = "/admin/connections/"


def test_keys_lead_through_the_pages_and_never_while_one_types(site: Site, open_page: Open) -> None:
    for name in ("one", "two"):
        rows.record(site.engine, name, client_id=name)
    page = open_page(LIST)
    page.wait_for_load_state()
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("g e ? n")
    expect(search).to_have_value("g e ? n")
    search.blur()
    page.keyboard.press("Control+j")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="one", exact=True)).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.get_by_role("link", name="two", exact=True)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="one")).to_be_visible()
    page.wait_for_load_state()
    for keys, heading in (("ge", "Events"), ("gw", "Workers"), ("gd", "Dashboard"), ("n", "New")):
        for key in keys:
            page.keyboard.press(key)
        expect(page.get_by_role("heading", level=1, name=heading)).to_be_visible()
        page.wait_for_load_state()


def test_the_list_of_keys_opens_closes_and_switches_them_off(site: Site, open_page: Open) -> None:
    page = open_page(LIST)
    page.wait_for_load_state()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_be_visible()
    assert serious(page) == []
    page.keyboard.press("g")
    page.keyboard.press("e")
    dialog.get_by_label("Use single keys in this browser").uncheck()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    page.reload()
    page.keyboard.press("n")
    page.keyboard.press("?")
    expect(dialog).to_be_visible()
    expect(page).to_have_url(re.compile(LIST + "$"))


def test_a_click_before_the_other_scripts_are_there_is_not_lost(
    site: Site, open_page: Open
) -> None:
    rows.record(site.engine, "plant-1")
    page = open_page("/admin/workers/")
    waiting: list[Route] = []
    asked = dismissing(page)

    def hold(route: Route) -> None:
        waiting.append(route)

    page.route(re.compile(r"/static/(app|frame|keys|lists)\.js"), hold)
    page.goto(LIST, wait_until="commit")
    page.get_by_role("button", name="Delete plant-1").click()
    assert asked == ["Delete connection “plant-1”? This cannot be undone."]
    assert waiting
    for route in waiting:
        route.continue_()
    expect(page.get_by_role("button", name="Delete plant-1")).to_be_visible()


def test_nothing_changes_under_a_pointer_that_is_down(site: Site, open_page: Open) -> None:
    number = rows.record(site.engine, "plant-1")
    rows.status(site.engine, number)
    page = open_page(LIST)
    page.wait_for_load_state()
    state = page.locator(f"#state-{number}")
    page.get_by_role("button", name="Delete plant-1").hover()
    page.mouse.down()
    rows.sql(site.engine, "update connection_status set state = 'refused'")
    with page.expect_response(lambda answer: "refused" in answer.text()):
        pass
    page.wait_for_timeout(100)  # for what would come in the same moment
    expect(state).to_contain_text("connected")
    asked = dismissing(page)
    page.mouse.up()
    expect(state).to_contain_text("refused")
    assert len(asked) == 1


def test_a_poll_replaces_only_what_has_changed(site: Site, open_page: Open) -> None:
    made = [rows.record(site.engine, name, client_id=name) for name in ("one", "two")]
    for number in made:
        rows.status(site.engine, number)
    page = open_page(f"/admin/connections/details/?id={made[0]}")
    page.wait_for_load_state()
    page.evaluate("document.querySelector('#now .facts').dataset.mine = 'yes'")
    badge = page.locator("#now .state .badge").element_handle()
    rows.sql(site.engine, "update connection_status set messages_in = 4711")
    expect(page.locator("#now")).to_contain_text("4,711")
    assert badge.evaluate("badge => badge.isConnected")
    events = page.locator("#latest")
    expect(events).to_contain_text("None yet.")
    rows.event(site.engine, made[0], S.CONNECTED)
    events.locator("summary").click()
    rows.event(site.engine, made[0], S.REFUSED, previous_state=S.CONNECTED)
    expect(events.get_by_role("row").nth(1)).to_contain_text("refused")
    expect(events.get_by_role("row").nth(2).locator("details")).to_have_attribute("open", "")


def test_a_saved_record_turns_connected_without_a_reload(site: Site, open_page: Open) -> None:
    page = open_page(f"{LIST}new/")
    for label, value in (("Name", "plant-1"), ("Site", "s"), ("Host", "broker.example")):
        page.get_by_label(f"{label} (required)").fill(value)
    page.get_by_role("button", name="Save", exact=True).click()
    now = page.locator("#now")
    expect(now).to_contain_text("pending")
    page.evaluate("window.stayed = true")
    rows.status(site.engine, 1, S.CONNECTING, reason_code="connecting")
    expect(now.locator(".badge").first).to_contain_text("connecting", timeout=2500)
    rows.sql(site.engine, "update connection_status set state='connected', reason_code='success'")
    expect(now.locator(".badge").first).to_contain_text("connected", timeout=2500)
    assert page.evaluate("window.stayed")


def test_changes_are_not_lost_by_accident(site: Site, open_page: Open) -> None:
    page = open_page(f"{LIST}new/")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.get_by_role("link", name="Cancel").click()
    page.goto(f"{LIST}new/")
    page.get_by_label("Name (required)").fill("half a")
    expect(page.get_by_text("Not saved yet")).to_be_visible()
    page.on("dialog", stay)
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_label("Name (required)")).to_have_value("half a")
    assert asked == ["beforeunload"]
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("link", name="Site", exact=True)).to_be_visible()
    page.get_by_role("link", name="Site", exact=True).click()
    expect(page.get_by_label("Site (required)")).to_be_focused()
    assert asked == ["beforeunload"]


def test_a_site_opens_in_its_place_and_its_address_says_so(site: Site, open_page: Open) -> None:
    for number in range(3):
        rows.status(
            site.engine,
            rows.record(site.engine, f"p{number}", site="north", client_id=f"c{number}"),
        )
    rows.status(site.engine, rows.record(site.engine, "other", site="south"))
    page = open_page(f"{LIST}?group=site")
    page.wait_for_load_state()
    page.evaluate("window.stayed = true")
    page.get_by_role("link", name="north", exact=False).first.click()
    expect(page.get_by_label("Select p2")).to_be_visible()
    expect(page.locator("a.toggle").first).to_be_focused()
    assert page.url.endswith("?group=site&open=north")
    page.get_by_label("Select all on this page").check()
    expect(page.get_by_text("3 selected:")).to_be_visible()
    page.locator("a.toggle").last.click()
    expect(page.get_by_label("Select other")).not_to_be_checked()
    expect(page.get_by_text("3 selected:")).to_be_visible()
    rows.sql(site.engine, "update connection_status set state = 'cooldown'")
    expect(page.locator(".site-state").first).to_contain_text("3 cooldown")
    expect(page.locator("#chips")).to_contain_text("Failing 4")
    assert page.evaluate("window.stayed")
