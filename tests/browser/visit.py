"""One person at a browser who looks at every page: its picture, its barriers, its complaints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.support.pages import Watch, serious, too_wide

#: Pictures of the last walk; git ignores the folder.
ARTEFACTS = Path(__file__).parents[2] / ".artefacts" / "walk"
HEIGHT = 900


class Visit:
    """A window of one width and colour scheme."""

    def __init__(self, browser: Browser, url: str, width: int, scheme: str) -> None:
        options: dict[str, Any] = {"viewport": {"width": width, "height": HEIGHT}}
        self._context = browser.new_context(base_url=url, color_scheme=scheme, **options)  # type: ignore[arg-type]
        self.page: Page = self._context.new_page()
        self.watch = Watch(url)
        self.watch.follow(self.page)
        self.problems: list[str] = []
        self._folder = ARTEFACTS / f"{width}-{scheme}"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._pictures = 0

    def look(self, name: str) -> None:
        """Keep a picture of the page as it is, and note what is wrong with it."""
        self._pictures += 1
        picture = self._folder / f"{self._pictures:02}-{name}.png"
        self.page.screenshot(path=picture, full_page=True)
        self.problems += serious(self.page) + too_wide(self.page)

    def close(self) -> None:
        """Close the window; fail with everything that was noted."""
        self._context.close()
        assert self.problems + self.watch.complaints == []
