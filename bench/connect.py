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
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import certificates, proc
from bench.broker_log import BrokerLog
from bench.connect_report import Sample, as_json, as_text, problems
from bench.contestants import Contestant, all_contestants
from bench.mosquitto import Mosquitto, executable
from bench.processes import Child, allow_many_files

#: Seconds allowed for all connects: this and so many connections a second.
CONNECT_TIMEOUT, SLOWEST_RATE = 30.0, 100
EXIT_TIMEOUT = 60.0  # seconds
#: Seconds between two looks at the hub lag; the worker reports it in each heartbeat.
LAG_INTERVAL = 0.5
#: Open files besides one a connection.
SPARE_FILES = 200


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured, and for how long."""

    connections: int
    runs: int
    #: Seconds that a process gets to settle before its memory is measured.
    settle: float
    #: Seconds over which the CPU of an idle process is averaged.
    idle: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `connect` can be told."""
    add = parser.add_argument
    add("--connections", type=positive, default=1000, metavar="N")
    add("--runs", type=positive, default=3, metavar="R", help="print medians of R runs")
    add("--idle", type=float, default=10.0, metavar="SECONDS", help="how long CPU is averaged")
    add("--settle", type=float, default=2.0, metavar="SECONDS", help="wait before measuring")
    add("--tls", action="store_true", help="measure the worker over TLS, too")
    add("--only", metavar="NAMES", help="contestants, separated by commas")
    add("--json", action="store_true", help="print every sample as JSON")


def positive(text: str) -> int:
    """Return the whole number that an argument names. Raises ArgumentTypeError."""
    if not text.isdecimal() or int(text) < 1:
        msg = f"{text} is not a whole number from 1 up"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if every contestant connected all and ended well."""
    plan = Plan(arguments.connections, arguments.runs, arguments.settle, arguments.idle)
    try:
        _check(plan)
        taking_part, notes = _choose(plan.connections, arguments.only, arguments.tls)
    except BenchError as error:
        sys.stderr.write(f"bench: {error}\n")
        return 1
    samples, failures = _measure_all(taking_part, plan)
    failures += [problem for sample in samples for problem in problems(sample)]
    notes += failures
    if arguments.json:
        print(json.dumps(as_json(samples, notes), indent=2))
    else:
        print(as_text(samples, notes, plan.connections, plan.runs))
    return 1 if failures else 0


class BenchError(Exception):
    """The benchmark cannot be run as asked; the message says why."""


def _check(plan: Plan) -> None:
    if executable() is None:
        msg = "mosquitto is not installed (Debian: mosquitto)"
        raise BenchError(msg)
    if (limit := allow_many_files()) < plan.connections + SPARE_FILES:
        msg = f"{plan.connections} connections need more open files than the {limit} allowed"
        raise BenchError(msg)


def _choose(count: int, only: str | None, tls: bool) -> tuple[list[Contestant], list[str]]:
    """Return who takes part, and why the others do not. Raises BenchError."""
    everybody = {contestant.name: contestant for contestant in all_contestants(count, tls=tls)}
    wanted = only.split(",") if only else list(everybody)
    if unknown := set(wanted) - set(everybody):
        msg = f"there is no {', '.join(sorted(unknown))}; there are {', '.join(everybody)}"
        raise BenchError(msg)
    reasons = {name: everybody[name].why_not(count) for name in wanted}
    notes = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    return [everybody[name] for name in wanted if not reasons[name]], notes


def _measure_all(contestants: list[Contestant], plan: Plan) -> tuple[list[Sample], list[str]]:
    """Measure everybody in every run, in another order each time; also say what failed."""
    samples: list[Sample] = []
    failures: list[str] = []
    empty: dict[str, int] = {}
    for number in range(plan.runs):
        shift = number % max(1, len(contestants))
        for contestant in contestants[shift:] + contestants[:shift]:
            name = contestant.name
            _say(f"run {number + 1} of {plan.runs}: {name}")
            try:
                if name not in empty:
                    empty[name] = _rss_without_connections(contestant, plan.settle)
                samples.append(_measure(contestant, plan, empty[name]))
            except (TimeoutError, ChildProcessError) as error:
                failures.append(f"{name}, run {number + 1}: {error}")
    return samples, failures


def _rss_without_connections(contestant: Contestant, settle: float) -> int:
    with _started(contestant, 0) as (child, _log):
        contestant.wait_until_idle(child)
        time.sleep(settle)
        return proc.rss_kb(child.pid)


def _measure(contestant: Contestant, plan: Plan, empty_kb: int) -> Sample:
    count = plan.connections
    with _started(contestant, count) as (child, log):
        with _HubLag(contestant) as lag:
            log.follow(count, CONNECT_TIMEOUT + count / SLOWEST_RATE, lambda: child.running)
            connected_at = time.monotonic()
            time.sleep(plan.settle)
            cpu = proc.cpu_percent(child.pid, plan.idle)
            rss = proc.rss_kb(child.pid)
            log.read()
            lost = log.ended
            own_connect_s = contestant.connect_s(child)
            stop_s = _stop(child)
        return Sample(
            contestant=contestant.name,
            connections=count,
            connect_s=own_connect_s,
            broker_connect_s=connected_at - log.first_opened_at,
            start_s=connected_at - child.started_at,
            rss_kb_per_connection=(rss - empty_kb) / count,
            cpu_idle_percent=cpu,
            stop_s=stop_s,
            exit_status=child.wait(),
            lost=lost,
            repeated_connects=log.connects - count,
            hub_lag_ms=lag.longest,
        )


def _stop(child: Child) -> float:
    """Send SIGTERM and return how many seconds the process took to end."""
    descriptor = os.pidfd_open(child.pid)
    try:
        child.send_signal(signal.SIGTERM)
        return proc.seconds_until_exit(descriptor, EXIT_TIMEOUT)
    finally:
        os.close(descriptor)


@contextmanager
def _started(contestant: Contestant, count: int) -> Iterator[tuple[Child, BrokerLog]]:
    """Start a fresh broker and the contestant; yield its process and the broker's log."""
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name, ExitStack() as running:
        tls = certificates.make(Path(name)) if contestant.over_tls else None
        broker = running.enter_context(Mosquitto(Path(name), tls=tls))
        log = BrokerLog(broker.log_file)
        child = contestant.start(Path(name), broker.tls_port or broker.port, count)
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
        over = False
        while not over:
            # One more look after the end: the last heartbeat tells of the stop.
            over = self._over.wait(LAG_INTERVAL)
            lag = self._contestant.hub_lag_ms()
            if lag is not None:
                self.longest = max(lag, self.longest or 0.0)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
