"""Publishing in a real browser, with a real worker and a real broker behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from database.words import ConnectionState as S
from database.words import WorkerState
from tests.browser.conftest import Site, environment_of
from tests.conftest import HOSTNAME
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.pages import serious, too_wide
from tests.web import rows
from tests.web.forms import one
from tests.worker.service.worker import WorkerProcess, add

Open = Callable[..., Page]


@pytest.fixture
def worker(site: Site, home: Path, tmp_path: Path) -> Iterator[WorkerProcess]:
    """A worker on the database of the web server."""
    environment = environment_of(home) | {"HAWSER_HOSTNAME": HOSTNAME}
    with WorkerProcess(tmp_path, environment, site.engine) as process:
        process.wait_until_worker(WorkerState.RUNNING)
        yield process


def test_a_message_is_published_seen_again_and_sent_again(
    site: Site, open_page: Open, worker: WorkerProcess, mosquitto: Mosquitto
) -> None:
    number = add(site.engine, "plant-1", mosquitto.port, "plant/#")
    worker.wait_for_states({"plant-1": S.CONNECTED})
    page = open_page(f"/admin/connections/details/?id={number}")
    page.get_by_role("link", name="Publish", exact=True).last.click()
    expect(page.get_by_role("heading", name="Publish on plant-1")).to_be_visible()
    outcome, publish = (
        page.locator("#asked [data-outcome]"),
        page.get_by_role("button", name="Publish"),
    )

    # What is wrong is said at the fields, also at those that are folded away.
    page.get_by_text("MQTT 5 properties", exact=True).click()
    page.get_by_label("Message Expiry Interval (s)").fill("soon")
    page.get_by_text("MQTT 5 properties", exact=True).click()
    page.get_by_label("Payload", exact=True).fill('{"on": tru}')
    page.get_by_label("Payload is").select_option("json")
    page.get_by_label("Topic (required)").fill("plant/hello")
    publish.click()
    expect(outcome).to_contain_text("Not sent: please correct the marked fields.")
    expect(page.get_by_text("This is not JSON: Expecting value in line 1")).to_be_visible()
    page.get_by_label("Payload", exact=True).fill('{"on": true}')
    publish.click()
    expect(page.get_by_label("Message Expiry Interval (s)")).to_be_focused()

    page.get_by_label("Message Expiry Interval (s)").fill("60")
    page.get_by_label("Name 1").fill("shift")
    page.get_by_label("Value 1").fill("night")
    page.get_by_role("button", name="Add a User Property").click()
    expect(page.get_by_label("Name new")).to_be_focused()
    page.get_by_label("Remove User Property new").click()
    with Observer(mosquitto.port, ("plant/#",)) as observer:
        publish.click()
        expect(outcome).to_have_text("The broker has the message: Success (0x00).")
        observer.wait_for("plant/hello", b'{"on": true}')
        expect(page.locator("#asked dl")).to_contain_text("0x00")
        history = page.locator("#history tbody tr")
        expect(history).to_have_count(1)
        expect(history).to_contain_text("ann@hawser.example")
        assert serious(page) == []

        # The same form, pressed again on purpose, is another message.
        publish.click()
        expect(history).to_have_count(2)
        expect(publish).to_be_enabled()
        assert len(observer.of("plant/hello")) == 2

    history.first.get_by_role("link", name="Details").click()
    expect(page.get_by_text("shift = night")).to_be_visible()
    assert serious(page) == []
    page.get_by_role("link", name="Send again").click()
    expect(page.get_by_label("Payload", exact=True)).to_have_value('{"on": true}')
    expect(page.get_by_label("Value 1")).to_have_value("night")
    assert one(site.engine, "select count(*) from command") == 2

    # The connection subscribes to what it publishes.
    page.goto(f"/admin/messages/?connection={number}")
    expect(page.get_by_text("plant/hello").first).to_be_visible()


def test_a_message_is_published_without_scripts_and_only_once(
    site: Site, open_page: Open, worker: WorkerProcess, mosquitto: Mosquitto
) -> None:
    number = add(site.engine, "plant-1", mosquitto.port)
    worker.wait_for_states({"plant-1": S.CONNECTED})
    page = open_page(f"/admin/publish/?connection={number}", java_script_enabled=False)
    page.get_by_label("Topic (required)").fill("nobody/listens")
    page.get_by_role("button", name="Publish").dblclick()
    expect(page.get_by_text("No matching subscribers (0x10)")).to_be_visible()
    assert one(site.engine, "select count(*) from command") == 1


@pytest.mark.parametrize(("width", "scheme"), [(1280, "dark"), (390, "light")])
def test_the_pages_fit_the_window_in_light_and_dark(
    site: Site, open_page: Open, width: int, scheme: str
) -> None:
    number = rows.record(site.engine, "a-name-without-any-space-" * 7)
    sent = rows.command(site.engine, "publish")
    problems = []
    page = open_page(color_scheme=scheme, viewport={"width": width, "height": 900})
    for path in ("", f"?connection={number}", str(sent)):
        page.goto(f"/admin/publish/{path}")
        problems += serious(page) + too_wide(page)
    assert problems == []
