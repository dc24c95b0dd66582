"""The message benchmarks measure what they say, in small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.flood_trial import Plan, trial
from tests.structure.source import ROOT
from tests.support.mosquitto import executable

pytestmark = [
    pytest.mark.broker,
    pytest.mark.skipif(executable() is None, reason="mosquitto is not installed"),
]


def _bench(*words: str) -> dict[str, Any]:
    """Return what a benchmark reports; so small, it may miss its targets."""
    command = [sys.executable, "-m", "bench", *words, "--json"]
    ended = subprocess.run(command, capture_output=True, check=False, text=True, cwd=ROOT)
    assert ended.returncode in (0, 1), ended.stderr
    report: dict[str, Any] = json.loads(ended.stdout)
    assert ended.returncode == bool(report["missed"])
    return report


def test_everybody_takes_every_message_and_acknowledges_it() -> None:
    words = "ingest --messages 3000 --connections 3 --in-flight 1000 --database sqlite"
    report = _bench(*words.split())
    places = {(sample["taker"], sample["database"]) for sample in report["samples"]}
    assert places == {("worker", "sqlite"), ("paho", "sqlite"), ("mosquitto_sub", None)}
    for sample in report["samples"]:
        wrong = {key: sample[key] for key in ("missing", "spoilt", "extra")}
        assert wrong == dict.fromkeys(wrong, 0), sample
        assert sample["unacknowledged"] == (None if sample["taker"] == "mosquitto_sub" else 0)
        assert 0 < sample["rate"] <= report["publisher_alone"] * 1.5
    lags = [s["usage"]["hub_lag_ms"] for s in report["samples"] if s["taker"] == "worker"]
    assert all(0 < lag < 1000 for lag in lags)


def test_what_a_flood_leaves_out_is_counted_to_the_last_message(tmp_path: Path) -> None:
    small = (("HAWSER_MESSAGE_QUEUE_MESSAGES", "500"),)
    plan = Plan("sqlite", qos=0, rate=30_000, seconds=1.0, neighbours=3, settings=small)
    outcome = trial(plan, tmp_path)
    assert outcome.dropped > 0
    assert outcome.stored > 0
    assert outcome.sent == outcome.stored + outcome.dropped
    assert (outcome.wrong, outcome.neighbours_lost, outcome.neighbours_wrong) == (0, 0, 0)
    assert outcome.peak_mb < 512


def test_a_flood_that_may_not_be_dropped_is_stored_to_the_last_message(tmp_path: Path) -> None:
    small = (("HAWSER_MESSAGE_QUEUE_MESSAGES", "500"),)
    plan = Plan("sqlite", qos=1, rate=5_000, seconds=1.0, neighbours=3, settings=small)
    outcome = trial(plan, tmp_path)
    assert (outcome.sent, outcome.dropped) == (outcome.stored, 0)
    assert (outcome.wrong, outcome.neighbours_lost, outcome.neighbours_wrong) == (0, 0, 0)
