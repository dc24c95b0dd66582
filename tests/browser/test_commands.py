"""Commands and tests of connections in a real browser, with a real worker behind it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from database.words import ConnectionState as S
from database.words import WorkerState
from tests.browser.conftest import Site, environment_of
from tests.conftest import HOSTNAME
from tests.support.mosquitto import Mosquitto
from tests.support.pages import serious
from tests.support.process import wait_until
from tests.web import rows
from tests.worker.service.worker import WorkerProcess, events

Open = Callable[..., Page]


@pytest.fixture
def worker(site: Site, home: Path, tmp_path: Path) -> Iterator[None]:
    """A worker on the database of the web server."""
    environment = environment_of(home) | {"HAWSER_HOSTNAME": HOSTNAME}
    with WorkerProcess(tmp_path, environment, site.engine) as process:
        process.wait_until_worker(WorkerState.RUNNING)
        yield


def test_a_new_connection_is_tested_corrected_tested_saved_and_connected(
    site: Site, open_page: Open, worker: None, mosquitto: Mosquitto
) -> None:
    page = open_page("/admin/connections/new/")
    page.get_by_label("Name (required)").fill("plant-1")
    page.get_by_label("Site").fill("site_88")
    page.get_by_label("Host").fill("mqtt://x")
    page.get_by_label("Port").fill(str(mosquitto.port))
    page.get_by_label("User name").fill("me")
    page.get_by_label("Password", exact=True).fill("right")
    page.get_by_label("Topic Filter 1", exact=True).fill("sensors/#")
    test = page.get_by_role("button", name="Test", exact=True)
    outcome, steps = page.locator("#test [data-outcome]"), page.locator("#test .steps li")

    test.click()
    expect(page.get_by_text("Enter only the host name, without mqtt://")).to_be_visible()
    expect(page.get_by_label("Host")).to_be_focused()
    expect(outcome).to_contain_text("Not tested")
    expect(page.locator(".error")).to_have_count(1)

    page.get_by_label("Host").fill("no-such-host.invalid")
    test.focus()
    page.keyboard.press("Enter")
    expect(outcome).to_have_text("The connection does not work: it fails at DNS.")
    expect(page.locator(".error")).to_have_count(0)
    failed = steps.filter(has_text="failed")
    expect(failed).to_contain_text("The host name no-such-host.invalid could not be resolved")
    expect(failed).to_contain_text("Check the spelling of the host")

    page.get_by_label("Host").fill("127.0.0.1")
    test.click()
    expect(outcome).to_have_text("The connection works.")
    expect(steps.filter(has_text=re.compile(r"^\s*✓ ok"))).to_have_count(7)
    will = steps.filter(has_text="A crash of this client is seen by others after")
    expect(will).to_be_visible()
    expect(page.get_by_text("site_88_bf-probe-")).to_be_visible()
    assert serious(page) == []

    # What was typed is still there: the test has saved nothing and lost nothing.
    expect(page.get_by_label("Password", exact=True)).to_have_value("right")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Connection “plant-1” was created.")).to_be_visible()
    # Its own page, where the state turns without a reload.
    expect(page.get_by_role("heading", name="plant-1")).to_be_visible()
    expect(page.locator("#now").get_by_text("✓ connected")).to_be_visible()
    page.get_by_role("button", name="Reconnect now").click()
    expect(page.locator("#asked [data-outcome]")).to_have_text(
        "Done: the worker ends what it has and connects anew."
    )
    wait_until(
        lambda: (S.BACKOFF, "operator_reconnect") in events(site.engine, 1),
        5,
        lambda: str(events(site.engine, 1)),
    )
    asked: list[str] = []

    def accept(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.accept()

    page.on("dialog", accept)
    page.get_by_label("Use the real client id").check()
    page.get_by_role("button", name="Test", exact=True).click()
    expect(outcome).to_have_text("The connection works.")
    expect(page.get_by_text(f"site_88_{HOSTNAME} (the real one)")).to_be_visible()
    assert len(asked) == 1


def test_without_a_worker_the_buttons_say_how_to_start_it(site: Site, open_page: Open) -> None:
    number = rows.record(site.engine)
    rows.sql(site.engine, "update worker_heartbeat set state = 'stopped'")
    page = open_page(f"/admin/connections/details/?id={number}")
    page.get_by_role("button", name="Reconnect now").click()
    outcome = page.locator("#asked [data-outcome]")
    expect(outcome).to_contain_text("The worker is stopped")
    expect(outcome).to_contain_text("supervisorctl start mqttworker")


def test_without_scripts_a_test_leads_to_a_page_that_looks_again(
    site: Site, open_page: Open
) -> None:
    number = rows.record(site.engine)
    page = open_page(f"/admin/connections/details/?id={number}", java_script_enabled=False)
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.get_by_text("Asked; waiting for the worker.")).to_be_visible()
    # Nobody takes it here: the page finds out by itself.
    expect(page.get_by_text("The worker has not taken it within")).to_be_visible()
    rows.sql(site.engine, "update worker_heartbeat set state = 'stopped'")
    expect(page.get_by_text("The worker is stopped")).to_be_visible()


def test_the_menu_of_a_row_is_used_by_keyboard(site: Site, open_page: Open) -> None:
    rows.status(site.engine, rows.record(site.engine, "plant-1"), S.REFUSED)
    page = open_page("/admin/connections/")
    menu = page.get_by_label("More for plant-1")
    reconnect = page.get_by_role("button", name="Reconnect plant-1 now")
    menu.focus()
    page.keyboard.press("Enter")
    expect(reconnect).to_be_visible()
    page.keyboard.press("Escape")
    expect(reconnect).to_be_hidden()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(reconnect).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_text("1 connection asked to reconnect: “plant-1”.")).to_be_visible()
