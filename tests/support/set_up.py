"""The set-up within this process: what it says, and how it ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ENCRYPTION_KEY
from webapp import setup


class StillTryingError(Exception):
    """The set-up waits for its database."""


def set_up(
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    url: str,
    *,
    keep_trying: bool = False,
    on_line: Callable[[list[str]], object] | None = None,
) -> list[str]:
    """Run the set-up; return its lines, last the one that it ended with, if it did not succeed.

    `on_line` is called with the lines so far after each. Without it the first line ends the
    set-up of a database that is waited for.
    """
    monkeypatch.setenv("HAWSER_HOME", str(home))
    monkeypatch.setenv("HAWSER_DATABASE_URL", url)
    monkeypatch.setenv("HAWSER_ENCRYPTION_KEYS", ENCRYPTION_KEY)
    monkeypatch.setattr("database.readiness.RETRY_INTERVAL", 0.05)
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if on_line is not None:
            on_line(lines)
        elif "waiting for the database" in line:
            raise StillTryingError

    try:
        setup.run(say=say, keep_trying=keep_trying)
    except SystemExit as ended:
        lines.append(str(ended.code))
    except StillTryingError:
        pass
    return lines
