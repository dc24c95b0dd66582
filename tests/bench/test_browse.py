"""The browsing benchmark finds what it looks for, whatever the machine's speed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bench.browse import CASES
from bench.postgresql import executable
from tests.structure.source import ROOT


@pytest.mark.postgresql
@pytest.mark.skipif(executable("initdb") is None, reason="PostgreSQL is not installed")
def test_every_filter_is_asked_of_both_databases() -> None:
    command = [sys.executable, "-m", "bench", "browse", "--messages", "2000", "--rounds", "1"]
    done = subprocess.run(
        [*command, "--json"], check=False, capture_output=True, text=True, cwd=ROOT
    )
    report = json.loads(done.stdout)
    assert set(report["pages_ms"]) == {"sqlite", "postgresql"}
    for pages in report["pages_ms"].values():
        assert list(pages) == list(CASES)
        assert all(0 < took < 10_000 for page in pages.values() for took in page)
