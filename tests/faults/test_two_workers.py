"""Two workers on one database are never both connected, whatever is done to them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.dual import at_random, one_of_each
from tests.faults.dual_trial import Trial
from tests.faults.figures import LONG, note
from tests.support.mosquitto import Mosquitto

#: How soon a standby has all connections after the worker before it was lost, seconds.
TAKEOVER_LIMIT = 10.0


@pytest.mark.timeout(900 if LONG else 120)
def test_two_workers_never_act_at_the_same_time(
    tmp_path: Path,
    sqlite_url: str,
    keys: str,
    start_mosquitto: Callable[..., Mosquitto],
) -> None:
    trial = Trial(tmp_path, sqlite_url, keys, start_mosquitto(extra="log_type all"))
    try:
        one_of_each(trial)
        if LONG:
            at_random(trial, 100, random.Random())
        figures = trial.end()
    finally:
        trial.clean_up()
    note("P7", "operations", figures.operations, "")
    note("P7", "takeover, longest", max(figures.takeovers), "s")
    assert figures.wrong == []
    # A worker that is frozen while it holds SQLite's lock is replaced only when it is thawed.
    assert len(figures.takeovers) >= 2
    assert max(figures.takeovers) <= TAKEOVER_LIMIT
    assert figures.changes_of_owner >= 4
    assert figures.writes > 0
