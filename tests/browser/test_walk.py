"""A whole shift of a new operator, in a real browser, on the product as its user starts it.

Each walk begins with an account that somebody else made, and looks at every page on its way:
no serious barrier, nothing wider than the window, no foreign request, no complaint of the
browser. The pictures stay in `.artefacts/walk`.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.visit import Visit
from tests.end_to_end.conftest import end
from tests.end_to_end.product import Product
from tests.support.mosquitto import Mosquitto, executable
from tests.support.pages import dismissing
from tests.support.process import HOST, free_port

LOGIN = ("plant", "moored-fast")
ADMIN = "admin@hawser.example"
#: Pages that are only looked at.
OTHER_PAGES = (
    "certificates",
    "workers",
    "kept",
    "messages/set-aside",
    "connections/?group=site",
    "account",
    "people",
    "audit",
    "help",
    "?kiosk=1",
)


@dataclass(frozen=True)
class Place:
    """The running product and the broker of the plant."""

    product: Product
    broker: Mosquitto

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.product.port}"

    def new_account(self) -> tuple[str, str]:
        """Return address and one-time password of an account that nobody has used."""
        kept = self.product.home / "admin-password"
        if kept.exists():
            return ADMIN, kept.read_text(encoding="utf-8").strip()
        address = f"{secrets.token_hex(4)}@hawser.example"
        done = self.product.manage("accounts", "create", address, "--role", "admin")
        assert done.returncode == 0, done.stderr
        found = re.search(r"One-time password of \S+: (\S+)", done.stdout)
        assert found, done.stdout
        return address, found[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The product, started as a user starts it, and a broker that asks for a login."""
    if executable() is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    directory = tmp_path_factory.mktemp("walk")
    product = Product(directory)
    with Mosquitto(directory, users=dict([LOGIN])) as broker:
        try:
            product.start("--no-demo").wait_for_output("Hawser is ready", 60)
            yield Place(product, broker)
        finally:
            end(product)


@pytest.mark.end_to_end
@pytest.mark.broker
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_a_shift_from_the_first_login_to_the_logout(
    browser: Browser, place: Place, width: int, scheme: str
) -> None:
    visit = Visit(browser, place.url, width, scheme)
    name = f"quay-{width}-{scheme}"
    first_login(visit, place)
    create(visit, place, name)
    switch_off_and_on(visit, name)
    keep_what_was_asked_about(visit.page, name)
    publish_and_see(visit, name)
    for path in OTHER_PAGES:
        visit.page.goto(f"/admin/{path}")
        visit.look(re.sub(r"\W+", "-", path).strip("-"))
    logout(visit)
    visit.close()


def first_login(visit: Visit, place: Place) -> None:
    """Sign in with the one-time password, be asked for one's own, come to the dashboard."""
    page = visit.page
    address, password = place.new_account()
    own = secrets.token_urlsafe(12)
    page.goto("/")
    visit.look("login")
    page.get_by_label("E-mail address").fill(address)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/change*")
    visit.look("own-password")
    page.locator("input[name=password]").fill(password)
    page.locator("input[name=new_password]").fill(own)
    page.locator("input[name=new_password_confirm]").fill(own)
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/admin/")
    visit.look("dashboard-before")


def create(visit: Visit, place: Place, name: str) -> None:
    """Create a connection: a host that is none, a port where nothing is, then the right one."""
    page = visit.page
    page.goto("/admin/connections/new/")
    page.get_by_label("Name (required)").fill(name)
    page.get_by_label("Site").fill(name.replace("quay", "harbour"))
    page.get_by_label("Host").fill(f"mqtt://{HOST}")
    page.get_by_label("User name").fill(LOGIN[0])
    page.get_by_label("Password", exact=True).fill(LOGIN[1])
    page.get_by_label("Topic Filter 1", exact=True).fill(f"{name}/#")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Enter only the host name, without mqtt://").first).to_be_visible()
    visit.look("refused")
    page.get_by_label("Host").fill(HOST)
    page.get_by_label("Port").fill(str(free_port()))
    page.get_by_label("Password", exact=True).fill(LOGIN[1])
    test, outcome = page.get_by_role("button", name="Test", exact=True), page.locator("#test")
    test.click()
    expect(outcome).to_contain_text("Nothing accepts connections on")
    visit.look("test-failed")
    page.get_by_label("Port").fill(str(place.broker.port))
    test.click()
    expect(outcome).to_contain_text("The connection works.")
    visit.look("test-works")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(f"Connection “{name}” was created.")).to_be_visible()
    expect(page.locator(".badge", has_text="connected").first).to_be_visible()
    visit.look("connected")


def switch_off_and_on(visit: Visit, name: str) -> None:
    """Disable and enable from the list; the states follow without a reload."""
    page = visit.page
    page.goto("/admin/connections/")
    row = page.locator("tr", has=page.get_by_role("link", name=name, exact=True))
    for word, state in (("Disable", "disabled"), ("Enable", "connected")):
        page.get_by_label(f"Select {name}").check()
        page.locator("#bulk").get_by_role("button", name=word).click()
        expect(page.get_by_text(f"1 connection {word.lower()}d: “{name}”.")).to_be_visible()
        expect(row.locator(".badge", has_text=state)).to_be_visible()
        visit.look(f"list-{state}")


def keep_what_was_asked_about(page: Page, name: str) -> None:
    """Dismiss the question whether to delete: the row stays."""
    asked = dismissing(page)
    page.get_by_role("button", name=f"Delete {name}").click()
    assert [name in question for question in asked] == [True]
    page.reload()
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def publish_and_see(visit: Visit, name: str) -> None:
    """Follow the timeline, publish from there, and find the message that came back."""
    page = visit.page
    page.get_by_role("link", name=name, exact=True).click()
    visit.look("details")
    page.goto(page.url.replace("connections/details/?id=", "events/?connection="))
    expect(page.locator(".badge", has_text="connected").first).to_be_visible()
    visit.look("timeline")
    page.goto(page.url.replace("events/", "publish/"))
    page.get_by_label("Topic (required)").fill(f"{name}/hello")
    page.get_by_label("Payload", exact=True).fill("Ahoy")
    page.get_by_role("button", name="Publish").click()
    expect(page.locator("#asked")).to_contain_text("The broker has the message")
    visit.look("published")
    page.goto(f"/admin/messages/?topic={name}/%23")
    expect(page.get_by_role("link", name=f"{name}/hello")).to_be_visible()
    visit.look("messages")
    page.get_by_role("link", name=f"{name}/hello").click()
    expect(page.get_by_text("Ahoy", exact=True)).to_be_visible()
    visit.look("message")


def logout(visit: Visit) -> None:
    """Sign out; the back button shows nothing any more."""
    page = visit.page
    page.goto("/admin/")
    visit.look("dashboard")
    if (menu := page.get_by_role("button", name="Menu")).is_visible():
        menu.click()
    if not (button := page.get_by_role("button", name="Sign out")).is_visible():
        page.locator("header details summary").click()
    button.click()
    expect(page).to_have_url(re.compile("/login"))
    page.goto("/admin/connections/")
    expect(page).to_have_url(re.compile("/login"))
