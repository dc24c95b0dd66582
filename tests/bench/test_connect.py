"""The connect benchmark measures what it says, on a few connections."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from bench.broker_log import BrokerLog
from bench.mosquitto import executable
from bench.table import Row, render
from tests.structure.source import ROOT


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "connect", *arguments],
        capture_output=True,
        check=False,
        text=True,
        cwd=ROOT,
    )


@pytest.mark.broker
@pytest.mark.skipif(executable() is None, reason="mosquitto is not installed (Debian: mosquitto)")
def test_every_contestant_connects_all_and_ends_well() -> None:
    ended = bench("--connections", "20", "--runs", "1", "--idle", "0.2", "--settle", "0", "--json")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    report = json.loads(ended.stdout)
    samples = {sample["contestant"]: sample for sample in report["samples"]}
    assert set(samples) == {"worker", "bare gmqtt", "paho threads", "mosquitto bridges"}
    for sample in samples.values():
        assert (sample["exit_status"], sample["lost"], sample["repeated_connects"]) == (0, 0, 0)
        assert 0 <= sample["broker_connect_s"] < sample["start_s"]
    assert samples["mosquitto bridges"]["connect_s"] is None
    for name in ("worker", "bare gmqtt"):
        assert 0 < samples[name]["connect_s"] < samples[name]["start_s"]
    assert samples["worker"]["hub_lag_ms"] is not None
    assert report["worker_to_bare_gmqtt"] > 0


@pytest.mark.broker
@pytest.mark.skipif(executable() is None, reason="mosquitto is not installed (Debian: mosquitto)")
def test_the_worker_takes_part_over_tls_where_that_is_asked_for() -> None:
    names = "worker over TLS"
    few = ("--connections", "5", "--runs", "1", "--idle", "0.1", "--settle", "0", "--json")
    ended = bench(*few, "--tls", "--only", names)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (sample,) = json.loads(ended.stdout)["samples"]
    assert (sample["contestant"], sample["lost"]) == (names, 0)
    assert f"there is no {names}" in bench(*few, "--only", names).stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--only", "nobody"], "there is no nobody"),
        (["--connections", "0"], "0 is not a whole number from 1 up"),
        (["--connections", "9999999"], "open files"),
    ],
)
def test_what_cannot_be_measured_is_told_in_a_sentence(arguments: list[str], sentence: str) -> None:
    ended = bench(*arguments)
    assert ended.returncode != 0
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_log_tells_who_is_connected_and_who_is_not(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1: New client connected from 127.0.0.1:1 as early (p5, c1, k5).\n")
    log = BrokerLog(path)
    with path.open("a") as more:
        more.write("2: New connection from 127.0.0.1:2 on port 1883.\n")
        more.write("2: New client connected from 127.0.0.1:2 as a b (p5, c1, k5).\n")
        more.write("2: New client conn")
        more.flush()
        log.read()
        assert list(log.connected_at) == [b"a b"]
        assert log.first_opened_at < math.inf
        more.write("ected from 127.0.0.1:3 as c (p2, c1, k5, u'site').\n")
        more.write("3: Client a b closed its connection.\n3: Client stranger disconnected.\n")
        more.write("4: New client connected from 127.0.0.1:4 as a b (p5, c1, k5).\n")
    log.read()
    assert list(log.connected_at) == [b"a b", b"c"]
    assert (log.connects, log.ended) == (3, 1)


def test_a_log_that_stays_short_is_a_timeout(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    with pytest.raises(TimeoutError, match="0 of 1"):
        BrokerLog(path).follow(1, 60, alive=lambda: False)


def test_a_table_keeps_its_columns_in_line() -> None:
    rows = [Row("time", "t", "{:.1f} s"), Row("lag", "l", "{:.0f} ms")]
    table = render(rows, {"worker": {"t": 1.0, "l": 12.0}, "bare": {"t": 0.5, "l": None}})
    assert table.splitlines() == [
        "      worker   bare",
        "time   1.0 s  0.5 s",
        "lag    12 ms      -",
    ]
