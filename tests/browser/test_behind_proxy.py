"""A shift behind nginx, with TLS and below a path: nothing is asked for outside of that path."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.end_to_end.conftest import end
from tests.end_to_end.product import Product
from tests.support import nginx
from tests.support.certificates import Certificates
from tests.support.mosquitto import Mosquitto, executable
from tests.support.nginx import Nginx
from tests.support.pages import Watch
from tests.support.process import HOST

BELOW = "/hawser"
EMAIL, PASSWORD = "ann@hawser.example", "moored-fast-here"
#: Addresses that a page names; those with a token or a form of their own come later.
ADDRESSES = "[href], [src], [action], [formaction], [data-live], [data-wall], [data-messages]"
READ = """
nodes => nodes.flatMap(node => ["href", "src", "action", "formaction", "data-live", "data-wall",
  "data-messages"].map(name => node.getAttribute(name)).filter(value => value))
"""


class BelowWatch(Watch):
    """Also complains of requests that leave the path."""

    def _note_request(self, url: str) -> None:
        super()._note_request(url)
        if not url.startswith((f"{self.url}{BELOW}/", "data:")):
            self.complaints.append(f"request outside of {BELOW}: {url}")


@dataclass(frozen=True)
class Place:
    """The running product, nginx in front of it, and a broker."""

    url: str
    product: Product
    broker: Mosquitto
    is_as_in_the_manual: bool


@pytest.fixture(scope="module", params=["header", "SCRIPT_NAME"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Hawser below a path: as the manual has it, and with a proxy that passes the path on."""
    if executable() is None or nginx.executable() is None:
        pytest.skip("mosquitto or nginx is not installed (Debian: mosquitto, nginx)")
    directory = tmp_path_factory.mktemp("proxy")
    server = nginx.below_a_path()
    settings = {
        "HAWSER_TRUSTED_PROXIES": "1",
        "HAWSER_COOKIE_SECURE": "yes",
        "HAWSER_ADMIN_EMAIL": EMAIL,
        "HAWSER_ADMIN_PASSWORD": PASSWORD,
    }
    if request.param == "SCRIPT_NAME":
        settings["SCRIPT_NAME"] = BELOW
        server = server.replace("8000/;", "8000;")
        server = re.sub(r"\n *proxy_set_header X-Forwarded-Prefix.*", "", server)
    product = Product(directory, **settings)
    pair = Certificates(directory).server
    with Mosquitto(directory) as broker:
        try:
            product.start("--no-demo").wait_for_output("Hawser is ready", 60)
            with Nginx(directory, server, f"{HOST}:{product.port}", pair) as proxy:
                yield Place(proxy.url, product, broker, request.param == "header")
        finally:
            end(product)


@pytest.mark.timeout(300)
@pytest.mark.end_to_end
@pytest.mark.broker
def test_a_shift_below_a_path(browser: Browser, place: Place, tmp_path: Path) -> None:
    context = browser.new_context(base_url=place.url, ignore_https_errors=True)
    context.set_default_timeout(20_000)
    page = context.new_page()
    watch = BelowWatch(place.url)
    watch.follow(page)
    name = f"quay-{secrets.token_hex(3)}"
    sign_in(page, place)
    create(page, place, name)
    follow_its_state(page, name)
    choose_how_it_looks(page)
    saved = take_away(page, tmp_path)
    bring_in(page, saved)
    if place.is_as_in_the_manual:
        assert len(visit_every_page(page, place)) > 20
    sign_out(page, place)
    context.close()
    assert watch.complaints == []


def sign_in(page: Page, place: Place) -> None:
    """Come by the shortest address; sign in and be led to the page that was asked for."""
    page.goto(f"{BELOW}/")
    page.goto(f"{BELOW}/admin/events/?state=connected")
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{place.url}{BELOW}/admin/events/?state=connected")
    for cookie in page.context.cookies():
        assert cookie["secure"], cookie
        assert cookie["name"].startswith("__Host-hawser-"), cookie
    page.goto(f"{BELOW}/login")
    page.wait_for_url(f"{place.url}{BELOW}/admin/")


def create(page: Page, place: Place, name: str) -> None:
    """Test an unsaved form, then save it."""
    page.goto(f"{BELOW}/admin/connections/new/")
    page.get_by_label("Name (required)").fill(name)
    page.get_by_label("Site").fill(name)
    page.get_by_label("Host").fill(HOST)
    page.get_by_label("Port").fill(str(place.broker.port))
    page.get_by_label("Topic Filter 1", exact=True).fill(f"{name}/#")
    page.get_by_role("button", name="Test", exact=True).click()
    expect(page.locator("#test")).to_contain_text("The connection works.")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text(f"Connection “{name}” was created.")).to_be_visible()
    expect(page.locator(".badge", has_text="connected").first).to_be_visible()


def follow_its_state(page: Page, name: str) -> None:
    """Switch it off in the list; its state follows without a reload."""
    page.goto(f"{BELOW}/admin/connections/")
    row = page.locator("tr", has=page.get_by_role("link", name=name, exact=True))
    page.get_by_label(f"Select {name}").check()
    page.locator("#bulk").get_by_role("button", name="Disable").click()
    expect(row.locator(".badge", has_text="disabled")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("d")
    page.wait_for_url(f"**{BELOW}/admin/")


def choose_how_it_looks(page: Page) -> None:
    """Choose theme and language; both lead back to the page and stay."""
    page.goto(f"{BELOW}/admin/help/")
    page.locator("header .account summary").click()
    page.locator("header button[value=dark]").click()
    expect(page.locator("html[data-theme=dark]")).to_be_attached()
    for code in ("it", "en"):
        if not (button := page.locator(f"header button[lang={code}]")).is_visible():
            page.locator("header .account summary").click()
        button.click()
        expect(page.locator(f"html[lang={code}]")).to_be_attached()
        assert page.url.endswith(f"{BELOW}/admin/help/")


def take_away(page: Page, directory: Path) -> Path:
    """Export the connections by the link of the page; return the file."""
    page.goto(f"{BELOW}/admin/connections/import")
    with page.expect_download() as started:
        page.locator("main a[href*=export]").first.click()
    path = directory / "connections.json"
    started.value.save_as(path)
    return path


def bring_in(page: Page, saved: Path) -> None:
    """Look at the same file as an import and apply it."""
    page.goto(f"{BELOW}/admin/connections/import")
    page.locator("input[type=file]").set_input_files(saved)
    page.locator("main form button[type=submit]").first.click()
    page.wait_for_load_state()
    assert urlsplit(page.url).path.startswith(f"{BELOW}/admin/connections/")


def visit_every_page(page: Page, place: Place) -> set[str]:
    """Follow every link of every page once; return the paths that were visited."""
    visited: set[str] = set()
    waiting = [f"{BELOW}/admin/", f"{BELOW}/admin/?kiosk=1"]
    while waiting:
        address = waiting.pop()
        visited.add(urlsplit(address).path + ("?kiosk" if "kiosk" in address else ""))
        page.goto(address, wait_until="domcontentloaded")
        check_addresses(page, place)
        for link in page.locator("a[href]:not([download])").evaluate_all(READ):
            target = urlsplit(urljoin(page.url, link))
            is_page = target.path.startswith(f"{BELOW}/admin/") and "export" not in target.path
            known = {*visited, *(urlsplit(each).path for each in waiting)}
            if is_page and target.path not in known:
                waiting.append(f"{target.path}?{target.query}" if target.query else target.path)
    return visited


def check_addresses(page: Page, place: Place) -> None:
    """Fail for an address in a page that leads out of the path."""
    for found in page.locator(ADDRESSES).evaluate_all(READ):
        target = urlsplit(urljoin(page.url, found))
        if target.scheme in ("http", "https") and not found.startswith("#"):
            assert f"{target.scheme}://{target.netloc}" == place.url, (page.url, found)
            assert target.path.startswith(f"{BELOW}/"), (page.url, found)


def sign_out(page: Page, place: Place) -> None:
    """Sign out and stay out."""
    page.goto(f"{BELOW}/admin/")
    page.locator("header .account summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(f"{place.url}{BELOW}/login")
    page.goto(f"{BELOW}/admin/connections/")
    assert urlsplit(page.url).path == f"{BELOW}/login"
