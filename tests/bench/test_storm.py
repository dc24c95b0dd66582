"""The storm benchmark measures what it says, on a few connections."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from bench.mosquitto import executable
from bench.processes import wait_until
from bench.storm_log import StormLog
from bench.storm_report import (
    Sample,
    as_text,
    connects_a_second,
    most_within,
    problems,
    quantile,
)
from tests.structure.source import ROOT

GOOD = Sample("worker", 3.0, 1000, 1000, 1.0, 3.0, 4.0, 5.0, 48, 1, 0, 900, 1.5)


@pytest.mark.alone
@pytest.mark.broker
@pytest.mark.skipif(executable() is None, reason="mosquitto is not installed (Debian: mosquitto)")
def test_both_contestants_come_back_and_the_worker_meets_its_targets() -> None:
    command = [sys.executable, "-m", "bench", "storm", "--connections", "20", "--json"]
    command += ["--outage", "1", "--settle", "0.5"]
    ended = subprocess.run(command, capture_output=True, check=False, text=True, cwd=ROOT)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(ended.stdout)
    assert report["missed"] == []
    samples = {sample["contestant"]: sample for sample in report["samples"]}
    assert set(samples) == {"worker", "gmqtt's reconnect"}
    for sample in samples.values():
        assert sample["back"] == 20
        assert 0 < sample["p50_s"] <= sample["p90_s"] <= sample["p99_s"] <= sample["max_s"]
        # The kernel counts in hundredths of a second, which 20 connections may not need.
        assert sample["cpu_s"] >= 0
    assert samples["worker"]["failed_tries"] >= 0
    assert samples["gmqtt's reconnect"]["failed_tries"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"back": 999}, "only 999 of 1000"),
        ({"p99_s": 5.1}, "99 % back after 5.10 s"),
        ({"max_s": 10.1}, "all back after 10.10 s"),
        ({"peak": 51}, "51 CONNACKs"),
        ({"connects_a_second": 2}, "2 CONNECTs of one client id"),
        ({"outage_s": 600.0, "max_s": 35.1}, "all back after 35.10 s"),
    ],
)
def test_each_target_that_is_missed_is_named(change: dict[str, float], words: str) -> None:
    (problem,) = problems(dataclasses.replace(GOOD, **change))  # type: ignore[arg-type]
    assert words in problem


def test_a_run_within_its_targets_has_no_problem() -> None:
    assert problems(GOOD) == []
    assert problems(dataclasses.replace(GOOD, outage_s=600.0, p99_s=20.0, max_s=34.0)) == []


def test_the_peak_is_found_wherever_the_window_begins() -> None:
    assert most_within([0.0, 0.09, 0.1, 0.15, 0.18, 5.0], 0.1) == 4
    assert most_within([], 0.1) == 0


def test_connects_are_counted_for_each_client_id() -> None:
    assert connects_a_second([(0.0, b"a"), (0.5, b"b"), (0.9, b"c"), (1.0, b"a")]) == 1
    assert connects_a_second([(0.0, b"a"), (0.99, b"a")]) == 2


def test_a_quantile_is_a_value_that_was_measured() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [quantile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert quantile([], 0.5) == math.inf


def test_the_log_is_followed_over_a_restart_and_in_pieces(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1: Opening ipv4 listen socket on port 1.\n")
    with StormLog(path) as log, path.open("a") as more:
        more.write("2: New client connected from 127.0.0.1:1 as a b (p5, c1, k5).\n2: New cli")
        more.flush()
        wait_until(lambda: log.accepted, 5.0, "the first client")
        between = log.accepted[0][0]
        more.write("ent connected from 127.0.0.1:2 as c (p2, c1, k5, u'x').\n")
        more.write("3: Opening ipv4 listen socket on port 1.\n")
        more.flush()
        wait_until(lambda: len(log.listens_at) == 2, 5.0, "the second start")
        assert [client for _, client in log.accepted] == [b"a b", b"c"]
        assert log.clients_since(0.0) == 2
        assert log.accepted[1][0] > between


def test_each_outage_has_a_table_of_its_own() -> None:
    longer = dataclasses.replace(GOOD, outage_s=60.0)
    text = as_text([GOOD, longer, GOOD], ["a note"])
    assert "1,000 connections, broker killed for 3 s" in text
    assert "1,000 connections, broker killed for 60 s" in text
    assert "worker 2" in text
    assert text.endswith("note: a note")
