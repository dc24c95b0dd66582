"""An acknowledged message is in the table, whoever is killed, and whenever."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from bench import loss_trial, outage
from bench.loss_trial import Plan
from tests.faults.conftest import Note
from tests.support import postgresql
from tests.support.mosquitto import executable

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(executable() is None, reason="mosquitto is not installed"),
]
on_postgresql = [
    pytest.mark.postgresql,
    pytest.mark.skipif(postgresql.executable("initdb") is None, reason="PostgreSQL is missing"),
]


@pytest.mark.parametrize(
    ("database", "kills", "database_kills"),
    [("sqlite", 6, 0), pytest.param("postgresql", 20, 10, marks=on_postgresql)],
)
def test_p2_no_acknowledged_message_is_lost_by_a_kill(
    tmp_path: Path, note: Note, database: str, kills: int, database_kills: int
) -> None:
    seed = random.randrange(2**32)
    plan = Plan(database, kills, database_kills, kills * 500, interval=0.9, seed=seed)
    outcome = loss_trial.run(plan, tmp_path)
    assert outcome.problems == [], f"seed {seed}: {outcome}"
    # Otherwise nothing could have been lost.
    assert outcome.kills_in_flight >= 1
    note("P2", f"{database}: messages through {kills} kills", outcome.stored, "")
    note("P2", f"{database}: duplicates, each explained", outcome.duplicates, "")


@pytest.mark.parametrize("seconds", [pytest.param(20.0, marks=on_postgresql)])
def test_d2_a_database_that_is_away_loses_nothing_and_drops_nobody(
    tmp_path: Path, note: Note, seconds: float
) -> None:
    outcome = outage.trial(outage.Plan(seconds), tmp_path)
    assert outcome.problems == []
    assert outcome.waiting > 0
    note("D2", f"caught up after {seconds:g} s without PostgreSQL", outcome.drained_s, "s")
