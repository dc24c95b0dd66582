"""What a browser has to say about a page: errors, foreign requests, barriers, its picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Dialog, Page

CHROMIUM = Path("/usr/bin/chromium")
#: How chromium is started, as root in a container too.
ARGUMENTS = ["--no-sandbox", "--disable-gpu"]


@dataclass
class Watch:
    """Notes what a browser complains about on the pages of one server."""

    url: str
    complaints: list[str] = field(default_factory=list)

    def follow(self, page: Page) -> None:
        """Note errors, warnings and requests to other servers from now on."""
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        page.on("request", lambda request: self._note_request(request.url))

    def _note_console(self, message: object) -> None:
        if getattr(message, "type", "") in ("error", "warning"):
            self.complaints.append(f"console: {getattr(message, 'text', '')}")

    def _note_request(self, url: str) -> None:
        if urlsplit(url).netloc != urlsplit(self.url).netloc and not url.startswith("data:"):
            self.complaints.append(f"foreign request: {url}")


def dismissing(page: Page) -> list[str]:
    """Dismiss each question of `page` from now on; return the list in which they are noted."""
    asked: list[str] = []

    def dismiss(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    page.on("dialog", dismiss)
    return asked


def serious(page: Page) -> list[str]:
    """Return what axe finds serious or critical."""
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {violation['id']}: {node['html'][:160]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def too_wide(page: Page) -> list[str]:
    """Say by how much the page is wider than its window, if it is."""
    overflow = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    return [f"{page.url}: {overflow} px too wide"] if overflow > 0 else []
