"""What the message benchmarks measured is judged: each target that is missed is named."""

from __future__ import annotations

import dataclasses

import pytest

from bench import flood_report, ingest_report
from bench.flood_report import Outcome as Flood
from bench.ingest_report import PROTOCOL_LIMIT, Sample
from bench.loss_trial import Outcome as Loss
from bench.loss_trial import Plan
from bench.outage import Outcome as Outage

USAGE = {"cpu_s": 8.0, "peak_mb": 90.0, "hub_lag_ms": 40.0}
WORKER = Sample("worker", "sqlite", 1, PROTOCOL_LIMIT, 200_000, 20_000, 60_000, 0, usage=USAGE)
PAHO = dataclasses.replace(WORKER, taker="paho", rate=10_000, usage={})
SUB = dataclasses.replace(WORKER, taker="mosquitto_sub", database=None, rate=30_000, usage={})
LOSS = Loss(1000, 20, 10, 12, 1000, 1000, 0, 0, 0, 3, 0, 0, 30.0)
FLOOD = Flood("sqlite", 0, 50_000, 49_000, 100, 60, 40, 0, 0, 0, 30.0, 100.0, 200.0, 50.0)
OUTAGE = Outage(600.0, 1000, 900, 12.0, 15.0, 0, 0, 0, 0, 0, 50.0, 100.0)


def test_what_meets_its_targets_has_no_problem() -> None:
    assert ingest_report.problems([WORKER, PAHO, SUB]) == []
    assert [LOSS.problems, FLOOD.problems, OUTAGE.problems] == [[], [], []]


@pytest.mark.parametrize(
    ("worker", "words"),
    [
        ({"missing": 1}, "1 messages are not stored"),
        ({"spoilt": 2}, "2 rows are not byte-exact"),
        ({"extra": 3}, "3 rows are too many"),
        ({"unacknowledged": 4}, "4 messages are not acknowledged"),
        ({"usage": {"hub_lag_ms": 251.0}}, "late by 251 ms"),
    ],
)
def test_each_target_of_the_intake_is_looked_at(worker: dict[str, object], words: str) -> None:
    worse = dataclasses.replace(WORKER, **worker)  # type: ignore[arg-type]
    found = ingest_report.lost([worse]) + ingest_report.problems([worse, PAHO, SUB])
    assert [words in problem for problem in found] == [True]


def test_a_rate_is_the_median_of_its_runs() -> None:
    runs = [dataclasses.replace(WORKER, rate=rate) for rate in (30, 10, 20)]
    assert ingest_report.medians([*runs, SUB]) == [runs[2], SUB]
    assert ingest_report.medians(runs[:2]) == [runs[1]]


def test_a_slow_intake_is_told_in_messages_and_beside_others() -> None:
    slow = dataclasses.replace(WORKER, rate=14_000)
    found = ingest_report.problems([slow, PAHO, SUB])
    assert [words.partition(": ")[2] for words in found] == [
        "14,000 messages/s, less than 15,000",
        "1.40 x paho, less than 1.5",
        "0.47 x mosquitto_sub, less than 0.6",
    ]


def test_many_connections_must_leave_paho_further_behind() -> None:
    many = [dataclasses.replace(each, connections=50) for each in (WORKER, PAHO, SUB)]
    (problem,) = ingest_report.problems(many)
    assert "2.00 x paho, less than 3" in problem


def test_mosquittos_own_limit_is_a_figure_and_no_target() -> None:
    few = [dataclasses.replace(each, in_flight=20, rate=100) for each in (WORKER, PAHO, SUB)]
    assert ingest_report.problems(few) == []


def test_somebody_elses_loss_is_told_too() -> None:
    (problem,) = ingest_report.lost([WORKER, dataclasses.replace(PAHO, missing=1), SUB])
    assert problem.startswith("paho, sqlite")


def test_the_report_of_the_intake_has_a_table_for_each_place() -> None:
    many = dataclasses.replace(WORKER, connections=50)
    text = ingest_report.as_text([WORKER, PAHO, SUB, many], 100_000, ["a note"])
    assert "worker, sqlite: 2.00 x paho, 0.67 x mosquitto_sub" in text
    assert "50 connections, in flight: no limit" in text
    assert text.endswith("note: a note")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lost": 1}, "acknowledged and are lost"),
        ({"missing": 1}, "published and are not stored"),
        ({"acknowledged": 999}, "1 messages were never acknowledged"),
        ({"spoilt": 1}, "not byte-exact"),
        ({"unexplained": 1}, "without a message sent twice"),
        ({"unknown_pubacks": 1}, "not in flight"),
    ],
)
def test_each_way_to_lose_is_named(change: dict[str, int], words: str) -> None:
    (problem,) = dataclasses.replace(LOSS, **change).problems
    assert words in problem


def test_the_messages_of_a_loss_trial_outlast_its_kills() -> None:
    plan = Plan("sqlite", worker_kills=20, database_kills=0, messages=2000, interval=1.0)
    assert 20 * plan.interval < plan.messages / plan.rate < 2 * 20 * plan.interval


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"stored": 59}, "1 messages are neither stored nor counted"),
        ({"stored": 61}, "-1 messages are neither stored nor counted"),
        ({"qos": 1}, "40 messages of QoS 1 were dropped"),
        ({"wrong": 1}, "not what was sent"),
        ({"neighbours_lost": 1}, "lost their session"),
        ({"neighbours_wrong": 1}, "of neighbours"),
        ({"reached_rate": 47_000}, "only 47,000 messages/s"),
        ({"peak_mb": 513.0}, "513 MB"),
        ({"hub_lag_ms": 1001.0}, "late by 1001 ms"),
    ],
)
def test_each_target_of_the_flood_is_looked_at(change: dict[str, float], words: str) -> None:
    (problem,) = dataclasses.replace(FLOOD, **change).problems  # type: ignore[arg-type]
    assert words in problem


def test_the_report_of_the_flood_has_a_column_for_each() -> None:
    text = flood_report.as_text([FLOOD, dataclasses.replace(FLOOD, qos=1)], ["a note"])
    assert "QoS 0, sqlite" in text
    assert "QoS 1, sqlite" in text


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"missing": 1}, "not stored"),
        ({"spoilt": 1}, "not byte-exact"),
        ({"duplicates": 1}, "twice"),
        ({"disconnected": 1}, "says the broker"),
        ({"sessions_lost": 1}, "says the worker"),
        ({"drained_s": 60.1}, "caught up after 60.1 s"),
    ],
)
def test_each_target_of_the_outage_is_looked_at(change: dict[str, float], words: str) -> None:
    (problem,) = dataclasses.replace(OUTAGE, **change).problems  # type: ignore[arg-type]
    assert words in problem
