"""Which failed tests `manage.py test` may repeat: those marked `timing`, after a whole run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

#: Names the file of what may be repeated; ops/checks.py sets it and reads the file.
REPEATABLE_TESTS = "REPEATABLE_TESTS"


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Write the tests that may be repeated, one a line: all that failed, or none."""
    path = os.environ.get(REPEATABLE_TESTS)
    if path is None or not _ran_everything_beside_others(config):
        return
    reports = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
    if all(map(_is_timing, reports)):
        names = dict.fromkeys(report.nodeid for report in reports)
        Path(path).write_text("".join(f"{name}\n" for name in names), encoding="utf-8")


def _ran_everything_beside_others(config: pytest.Config) -> bool:
    # pytest has read the command line: no spelling of -x or -n 0 escapes.
    return not config.getoption("maxfail") and bool(config.getoption("numprocesses", 0))


def _is_timing(report: Any) -> bool:
    # A file that cannot be collected and a process that died have no markers.
    return "timing" in getattr(report, "keywords", ())
