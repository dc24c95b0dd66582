"""Real gunicorn and a real browser; every page is watched for errors and foreign requests."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy import Engine

from database.session import make_engine
from tests.conftest import ENCRYPTION_KEY
from tests.support.pages import ARGUMENTS, CHROMIUM, Watch
from tests.support.process import HOST, Child, accepts, free_port
from tests.web import rows

ROOT = Path(__file__).parents[2]
EMAIL, PASSWORD = "ann@hawser.example", "correct horse battery"


class Site(Watch):
    """A running web server, its database, and what a browser complained about on its pages."""

    def __init__(self, url: str, engine: Engine) -> None:
        super().__init__(url)
        self.engine = engine


# Not for the whole session: an event loop of Playwright's would run in every later test's thread.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("chromium is not installed (Debian: chromium)")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        # Three polls of a page, on a machine that is busy with other tests.
        expect.set_options(timeout=15_000)
        yield started
        started.close()


def environment_of(home: Path) -> dict[str, str]:
    """Return the environment of the web server for a data directory."""
    return {
        "PATH": "/usr/bin:/bin",
        "HAWSER_HOME": str(home),
        "HAWSER_ADMIN_EMAIL": EMAIL,
        "HAWSER_ADMIN_PASSWORD": PASSWORD,
        "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        # A heartbeat of the fixture must last for the whole test.
        "HAWSER_HEARTBEAT_STALE_AFTER": "600",
    }


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with one account, to be copied."""
    home = tmp_path_factory.mktemp("new") / "home"
    home.mkdir(mode=0o700)
    command = [sys.executable, "-m", "webapp", "setup"]
    with Child(command, home.parent / "log", env=environment_of(home), cwd=ROOT) as setup:
        assert setup.wait() == 0, setup.output()
    return home


@pytest.fixture
def site(new_home: Path, home: Path, tmp_path: Path) -> Iterator[Site]:
    """The web server over a database with one account and a running worker's heartbeat."""
    shutil.copytree(new_home, home, dirs_exist_ok=True)
    engine = make_engine(f"sqlite:///{home / 'hawser.db'}")
    rows.heartbeat(engine)
    port = free_port()
    environment = environment_of(home) | {"HAWSER_BIND": f"{HOST}:{port}"}
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with Child(command, tmp_path / "web.log", env=environment, cwd=ROOT) as web:
        web.wait_for(lambda: accepts(port), 60, "the web server to listen")
        found = Site(f"http://{HOST}:{port}", engine)
        yield found
        assert "Traceback" not in web.output(), web.output()
    engine.dispose()
    assert found.complaints == []


@pytest.fixture
def open_page(browser: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """A function that opens a page in a window of its own, signed in unless told otherwise."""
    contexts: list[BrowserContext] = []

    def open_(path: str = "/admin/", *, signed_in: bool = True, **options: object) -> Page:
        contexts.append(browser.new_context(base_url=site.url, **options))  # type: ignore[arg-type]
        page = contexts[-1].new_page()
        site.follow(page)
        page.goto(path)
        if signed_in:
            sign_in(page)
        return page

    yield open_
    for context in contexts:
        context.close()


def sign_in(page: Page) -> None:
    """Fill in the login form."""
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#menu").wait_for(state="attached")
    # Deferred scripts have run: what a test presses next does what it does for people.
    page.wait_for_load_state()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs chromium."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
