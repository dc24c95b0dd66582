"""What an operator does, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable

from playwright.sync_api import Dialog, Page, expect
from sqlalchemy import text

from database.clock import database_now
from database.words import ConnectionState as S
from tests.browser.conftest import Site
from tests.web import rows
from webapp.connections import detection
from webapp.wording import texts

Open = Callable[..., Page]


def test_a_first_connection_is_made_corrected_and_edited(site: Site, open_page: Open) -> None:
    page = open_page()
    page.get_by_role("link", name="Add the first connection").click()
    page.get_by_label("Name (required)").fill("plant-1")
    page.get_by_label("Site").fill("site_88")
    page.get_by_label("Host").fill("mqtt://broker.example")
    page.get_by_label("Topic Filter 1", exact=True).fill("a/#/b")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Enter only the host name, without mqtt://")).to_be_visible()
    expect(page.get_by_text("must stand alone as the last level")).to_be_visible()
    expect(page.get_by_label("Host")).to_be_focused()

    page.get_by_label("Host").fill("broker.example")
    page.get_by_label("Topic Filter 1", exact=True).fill("sensors/#")
    page.get_by_role("button", name="Add a subscription").click()
    page.get_by_label("Topic Filter new", exact=True).fill("alarms/+")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Connection “plant-1” was created.")).to_be_visible()
    expect(page.get_by_role("heading", name="plant-1")).to_be_visible()
    expect(page.locator("#now")).to_contain_text("pending")

    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_label("Topic Filter 2", exact=True)).to_have_value("alarms/+")
    page.get_by_role("button", name="Remove Topic Filter 2").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Connection “plant-1” was saved.")).to_be_visible()
    with site.engine.connect() as transaction:
        found = transaction.scalars(text("select topic_filter from subscription")).all()
    assert found == ["sensors/#"]


def test_a_dismissed_question_keeps_the_row_and_an_accepted_one_deletes_it(
    site: Site, open_page: Open
) -> None:
    rows.record(site.engine, "plant-1")
    page = open_page("/admin/connections/")
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        if len(asked) == 1:
            dialog.dismiss()
        else:
            dialog.accept()

    page.on("dialog", answer)
    page.get_by_role("button", name="Delete plant-1").click()
    page.reload()
    expect(page.get_by_role("link", name="plant-1", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete plant-1").click()
    expect(page.get_by_text("Deleted: “plant-1”.")).to_be_visible()
    assert asked == ["Delete connection “plant-1”? This cannot be undone."] * 2


def test_many_are_switched_and_deleted_together(site: Site, open_page: Open) -> None:
    for name in ("one", "two", "three"):
        rows.record(site.engine, name)
    page = open_page("/admin/connections/")
    page.get_by_label("Select one").check()
    page.get_by_label("Select two").check()
    page.locator("#bulk").get_by_role("button", name="Disable").click()
    expect(page.get_by_text("2 connections disabled: “one”, “two”.")).to_be_visible()
    page.get_by_label("Select all on this page").check()
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.locator("#bulk").get_by_role("button", name="Delete").click()
    expect(page.get_by_label("Select one")).to_be_visible()
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator("#bulk").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Deleted: “one”, “three”, “two”.")).to_be_visible()


def test_a_change_of_state_appears_without_a_reload(site: Site, open_page: Open) -> None:
    number = rows.record(site.engine, "plant-1")
    rows.status(site.engine, number)
    pages = [
        open_page(path)
        for path in ("/admin/", "/admin/connections/", f"/admin/connections/details/?id={number}")
    ]
    for page in pages:
        expect(page.get_by_text("connected").first).to_be_visible()
    rows.sql(
        site.engine,
        "update connection_status set state = 'refused', reason_code = 'not_authorized'",
    )
    for page in pages:
        expect(page.get_by_text("The broker does not authorise this client.")).to_be_visible()
    rows.sql(site.engine, "update worker_heartbeat set state = 'stopped'")
    for page in pages:
        expect(page.get_by_text("The worker is stopped: states are unknown.").first).to_be_visible()
        expect(page.get_by_text("unknown", exact=False).first).to_be_visible()


def test_an_outage_stays_open_while_its_rows_change(site: Site, open_page: Open) -> None:
    for name in ("one", "two"):
        lost = rows.record(site.engine, name)
        rows.status(site.engine, lost, S.BACKOFF, down_since=database_now(-60.0))
    page = open_page()
    expect(page.get_by_text("2 of 2 connections to broker.example:1883 lost")).to_be_visible()
    page.locator("summary", has_text="2 connections").click()
    expect(page.get_by_role("link", name="one", exact=True)).to_be_visible()
    rows.sql(site.engine, "update connection_status set state = 'cooldown'")
    expect(page.locator("#fleet").get_by_text("cooldown").first).to_be_visible()
    rows.sql(site.engine, "update connection_status set state = 'connected', down_since = null")
    expect(page.locator("#fleet")).to_be_empty()


def test_the_keyboard_stays_at_its_link_while_the_rows_change(site: Site, open_page: Open) -> None:
    first, second = rows.record(site.engine, "plant-1"), rows.record(site.engine, "plant-2")
    for number in (first, second):
        rows.status(site.engine, number)
    page = open_page("/admin/")
    page.get_by_role("link", name="plant-1").focus()
    rows.sql(
        site.engine,
        "update connection_status set state = 'refused' where connection_id = :n",
        n=second,
    )
    expect(page.get_by_role("row").nth(1)).to_contain_text("plant-2")
    expect(page.get_by_role("link", name="plant-1")).to_be_focused()
    rows.sql(
        site.engine,
        "update connection_status set state = 'config_error' where connection_id = :n",
        n=first,
    )
    expect(page.get_by_role("row").nth(1)).to_contain_text("plant-1")
    expect(page.get_by_role("link", name="plant-1", exact=True)).to_be_focused()


def test_the_detection_window_follows_the_keep_alive_as_it_is_typed(
    site: Site, open_page: Open
) -> None:
    page = open_page("/admin/connections/new/")
    window = page.locator("[data-detection]")
    for keep_alive in ("2", "3", "60", "65535", "1"):
        page.get_by_label("Keep Alive (s)").fill(keep_alive)
        words = [rule.words(int(keep_alive)) for rule in detection.RULES]
        expect(window.locator("dd")).to_have_text(words)
        expect(window.get_by_text("To be noticed within 10 s")).to_be_visible(
            visible=int(keep_alive) > detection.ADVISED_S
        )
    page.get_by_label("Keep Alive (s)").fill("soon")
    assert set(window.locator("dd").all_inner_texts()) == {texts.NOTHING}


def test_the_timeline_is_filtered_paged_and_exported(site: Site, open_page: Open) -> None:
    number = rows.record(site.engine, "plant-1")
    for index in range(60):
        rows.event(site.engine, number, S.REFUSED if index == 5 else S.CONNECTED)
    page = open_page("/admin/events/")
    page.get_by_role("link", name="Older").click()
    page.locator("tbody").get_by_text("refused").wait_for()
    page.get_by_label("State").select_option("refused")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.locator("tbody summary").click()
    expect(page.get_by_text("Reason code")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON Lines").click()
    lines = download.value.path().read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["state"] for line in lines] == ["refused"]


def test_the_menu_of_a_phone_opens_and_leads_on(site: Site, open_page: Open) -> None:
    page = open_page(viewport={"width": 390, "height": 800})
    link = page.get_by_role("link", name="Events")
    expect(link).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    link.click()
    expect(page.get_by_role("heading", name="Events")).to_be_visible()


def test_a_password_can_be_changed_and_the_session_ended(site: Site, open_page: Open) -> None:
    page = open_page("/change")
    page.get_by_label("Your password so far").fill("correct horse battery")
    page.get_by_label("New password", exact=True).fill("short")
    page.get_by_label("New password again").fill("short")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("at least 8 characters")).to_be_visible()
    page.locator("header summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_a_server_that_went_away_is_told_to_the_reader(site: Site, open_page: Open) -> None:
    rows.status(site.engine, rows.record(site.engine), S.CONNECTED)
    page = open_page()
    expect(page.get_by_text("Updated")).to_be_visible()
    page.route("**/admin/live*", lambda route: route.abort())
    expect(page.get_by_text("Not refreshed for")).to_be_visible(timeout=10_000)
    site.complaints.clear()  # the browser reports the request that this test cut off
