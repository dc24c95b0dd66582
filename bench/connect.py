"""Connect N records by the worker, beside the same N connects made without it.

Every contestant meets a fresh private mosquitto with the same configuration, and the
broker's log tells when its clients were connected.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench import proc
from bench.broker_log import BrokerLog
from bench.connect_report import Sample, as_json, as_text
from bench.contestants import Contestant, all_contestants
from bench.mosquitto import Mosquitto, executable
from bench.processes import Child, allow_many_files

#: Seconds that a process gets to settle before its memory is measured.
SETTLE = 2.0
#: Seconds allowed for all connects: this and so many connections a second.
CONNECT_TIMEOUT, SLOWEST_RATE = 30.0, 100
EXIT_TIMEOUT = 60.0  # seconds
#: Seconds between two looks at the hub lag; the worker reports it in each heartbeat.
LAG_INTERVAL = 0.5
#: Open files besides one a connection.
SPARE_FILES = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `connect` can be told."""
    parser.add_argument("--connections", type=int, default=1000, metavar="N")
    parser.add_argument("--runs", type=int, default=3, metavar="R", help="medians of R runs")
    parser.add_argument("--idle", type=float, default=10.0, metavar="SECONDS")
    parser.add_argument("--only", metavar="NAMES", help="contestants, separated by commas")
    parser.add_argument("--json", action="store_true", help="print every sample as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if every contestant connected all and ended well."""
    if executable() is None:
        sys.stderr.write("bench: mosquitto is not installed (Debian: mosquitto)\n")
        return 1
    count = arguments.connections
    if allow_many_files() < count + SPARE_FILES:
        sys.stderr.write(f"bench: {count} connections need a higher limit of open files\n")
        return 1
    taking_part, notes = _choose(count, arguments.only)
    samples, failures = _measure_all(taking_part, count, arguments.runs, arguments.idle)
    notes += failures
    if arguments.json:
        print(json.dumps(as_json(samples, notes), indent=2))
    else:
        print(as_text(samples, notes, count, arguments.runs))
    return 1 if failures else 0


def _choose(count: int, only: str | None) -> tuple[list[Contestant], list[str]]:
    """Return who takes part, and why the others do not."""
    wanted = only.split(",") if only else None
    taking_part, notes = [], []
    for contestant in all_contestants(count):
        if wanted is not None and contestant.name not in wanted:
            continue
        if reason := contestant.why_not(count):
            notes.append(f"{contestant.name}: {reason}")
        else:
            taking_part.append(contestant)
    return taking_part, notes


def _measure_all(
    contestants: list[Contestant], count: int, runs: int, idle: float
) -> tuple[list[Sample], list[str]]:
    """Measure everybody `runs` times, in another order each time."""
    samples, failures = [], []
    empty = {contestant.name: _rss_without_connections(contestant) for contestant in contestants}
    for number in range(runs):
        shift = number % len(contestants)
        for contestant in contestants[shift:] + contestants[:shift]:
            _say(f"run {number + 1} of {runs}: {contestant.name}")
            try:
                samples.append(_measure(contestant, count, idle, empty[contestant.name]))
            except (TimeoutError, ChildProcessError) as error:
                failures.append(f"{contestant.name}, run {number + 1}: {error}")
    return samples, failures


def _rss_without_connections(contestant: Contestant) -> int:
    with _started(contestant, 0) as (child, _log):
        contestant.wait_until_idle(child)
        time.sleep(SETTLE)
        return proc.rss_kb(child.pid)


def _measure(contestant: Contestant, count: int, idle: float, empty_kb: int) -> Sample:
    with _started(contestant, count) as (child, log), _HubLag(contestant) as lag:
        log.follow(count, CONNECT_TIMEOUT + count / SLOWEST_RATE, lambda: child.running)
        connected_at = time.monotonic()
        time.sleep(SETTLE)
        cpu = proc.cpu_percent(child.pid, idle)
        rss = proc.rss_kb(child.pid)
        log.read()
        lost = log.ended
        descriptor = os.pidfd_open(child.pid)
        try:
            child.send_signal(signal.SIGTERM)
            stop_s = proc.seconds_until_exit(descriptor, EXIT_TIMEOUT)
        finally:
            os.close(descriptor)
        return Sample(
            contestant=contestant.name,
            connections=count,
            connect_s=connected_at - log.first_opened_at,
            start_s=connected_at - child.started_at,
            rss_kb_per_connection=(rss - empty_kb) / count,
            cpu_idle_percent=cpu,
            stop_s=stop_s,
            exit_status=child.wait(),
            lost=lost,
            repeated_connects=log.connects - count,
            hub_lag_ms=lag.longest,
        )


@contextmanager
def _started(contestant: Contestant, count: int) -> Iterator[tuple[Child, BrokerLog]]:
    """Start a fresh broker and the contestant; yield its process and the broker's log."""
    with (
        tempfile.TemporaryDirectory(prefix="hawser-bench-") as name,
        Mosquitto(Path(name)) as broker,
    ):
        log = BrokerLog(broker.log_file)
        child = contestant.start(Path(name), broker.port, count)
        try:
            yield child, log
        finally:
            child.stop()
            contestant.finish()


class _HubLag:
    """Remembers the longest stall that a contestant reports, beside the measurement."""

    def __init__(self, contestant: Contestant) -> None:
        self.longest: float | None = None
        self._contestant = contestant
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _HubLag:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(LAG_INTERVAL):
            lag = self._contestant.hub_lag_ms()
            if lag is not None:
                self.longest = max(lag, self.longest or 0.0)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
