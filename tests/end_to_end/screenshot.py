"""`python -m tests.end_to_end.screenshot`: make docs/screenshot.png from the running product.

A private mosquitto with logins serves a small fleet in which three things are wrong: one
login, one host without a broker, and one client id that somebody else uses too.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from tests.end_to_end.product import HOSTNAME, ROOT, Product
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.process import HOST, free_port, wait_until

PICTURE = ROOT / "docs" / "screenshot.png"
SIZE = {"width": 1280, "height": 800}
SITES = ("aalborg", "bergen", "emden", "esbjerg", "gdansk", "kiel", "malmo", "riga", "turku")
LOGIN = ("hawser", "moored-fast")
#: A given one need not be changed first.
PASSWORD = secrets.token_urlsafe(16)


def main() -> None:
    """Start everything, wait until every state is reached, take the picture."""
    with tempfile.TemporaryDirectory() as directory:
        product = Product(Path(directory), HAWSER_ADMIN_PASSWORD=PASSWORD)
        with Mosquitto(Path(directory), users=dict([LOGIN, ("panel", "panel")])) as broker:
            product.start("--no-demo").wait_for_output("Hawser is ready", 60)
            try:
                product.import_connections([record(site, broker) for site in SITES])
                with rival(broker):
                    wait_until(lambda: settled(product), 60, lambda: str(product.health()))
                    take(product)
            finally:
                product.stop()


def record(site: str, broker: Mosquitto) -> dict[str, Any]:
    """Return the connection of one site."""
    wrong_login, no_broker, off = site == "gdansk", site == "esbjerg", site == "turku"
    return {
        "name": f"{site}-quay",
        "site": site,
        "host": HOST,
        "port": free_port() if no_broker else broker.port,
        "username": LOGIN[0],
        "password": "outdated" if wrong_login else LOGIN[1],
        "is_enabled": not off,
        "subscriptions": [{"topic_filter": f"{site}/commands/#", "qos": 1}],
    }


@contextmanager
def rival(broker: Mosquitto) -> Iterator[None]:
    """Use the client id of one site, and come back each time it is thrown out."""
    client_id = f"riga_{HOSTNAME}"
    observer = Observer(
        broker.port, ("riga/#",), username="panel", password="panel", client_id=client_id
    )
    with observer:
        yield


def settled(product: Product) -> bool:
    """Say whether every connection has come to where it stays, and the verdict too."""
    body = product.health()[1]
    states = body["summary"]["by_state"]
    wanted = {"connected": 5, "cooldown": 1, "refused": 1, "backoff": 1, "disabled": 1}
    return bool(states == wanted and body["output"].startswith("3 of 8"))


def take(product: Product) -> None:
    """Log in and photograph the dashboard."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport=SIZE, color_scheme="light")  # type: ignore[arg-type]
        log_in(page, product)
        page.wait_for_selector("text=riga-quay")
        page.screenshot(path=PICTURE)
        browser.close()


def log_in(page: Page, product: Product) -> None:
    """Sign in as the first account."""
    page.goto(f"http://{HOST}:{product.port}/")
    page.fill("input[name=email]", "admin@hawser.example")
    page.fill("input[name=password]", PASSWORD)
    page.press("input[name=password]", "Enter")
    page.wait_for_url("**/admin/")


if __name__ == "__main__":
    main()
