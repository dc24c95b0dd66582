"""Kill the broker of N connections and watch them come back, beside gmqtt's own reconnect.

Both meet a fresh private mosquitto, and its log tells when each client was accepted. The
exit status is 1 when the worker misses one of its targets.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import proc
from bench.connect import SPARE_FILES, positive
from bench.contestants import Contestant, Reference, Worker
from bench.mosquitto import Mosquitto, executable
from bench.processes import Child, allow_many_files, wait_until
from bench.storm_log import StormLog
from bench.storm_report import (
    PEAK_WINDOW,
    Accepted,
    Sample,
    as_text,
    connects_a_second,
    most_within,
    problems,
    quantile,
)

CONNECT_TIMEOUT = 60.0  # seconds, for the first connects
#: Seconds after the broker's return at which who is still away is given up.
RETURN_TIMEOUT = 60.0
#: Seconds that are watched on after the last return: who connects twice is seen.
AFTERMATH = 2.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    connections: int
    #: Seconds that the broker is away, each time.
    outages: tuple[float, ...]
    #: Seconds between the last connect and the kill.
    settle: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `storm` can be told."""
    add = parser.add_argument
    add("--connections", type=positive, default=1000, metavar="N")
    add("--runs", type=positive, default=1, metavar="R")
    add("--outage", type=float, default=3.0, metavar="SECONDS", help="how long the broker is away")
    add("--long", type=float, metavar="SECONDS", help="a second, longer outage")
    add("--settle", type=float, default=5.0, metavar="SECONDS", help="wait before each kill")
    add("--only", choices=["worker", "gmqtt"], help="measure only one of the two")
    add("--json", action="store_true", help="print every sample as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if the worker met every target."""
    outages = (arguments.outage, *([arguments.long] if arguments.long else []))
    plan = Plan(arguments.connections, outages, arguments.settle)
    if problem := _obstacle(plan):
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    samples: list[Sample] = []
    for _ in range(arguments.runs):
        for contestant in _contestants(arguments.only):
            samples += _measure(contestant, plan)
    missed = [p for sample in samples if sample.contestant == "worker" for p in problems(sample)]
    if arguments.json:
        report = {"samples": [asdict(sample) for sample in samples], "missed": missed}
        print(json.dumps(report, indent=2))
    else:
        print(as_text(samples, missed))
    return 1 if missed else 0


def _obstacle(plan: Plan) -> str | None:
    if executable() is None:
        return "mosquitto is not installed (Debian: mosquitto)"
    if (limit := allow_many_files()) < plan.connections + SPARE_FILES:
        return f"{plan.connections} connections need more open files than the {limit} allowed"
    return None


def _contestants(only: str | None) -> list[Contestant]:
    everybody = {"worker": Worker(), "gmqtt": Reference("gmqtt's reconnect", "gmqtt_asyncio")}
    return [contestant for name, contestant in everybody.items() if only in {None, name}]


@dataclass(frozen=True, slots=True)
class _Stage:
    """A contestant that is connected, its broker, and that broker's log."""

    contestant: Contestant
    child: Child
    broker: Mosquitto
    log: StormLog
    connections: int

    def failed_tries(self) -> int:
        """Return how many tries have failed so far, 0 where nobody tells."""
        return self.contestant.failed_tries() or 0

    def everybody_since(self, moment: float) -> bool:
        """Whether all clients were accepted since then."""
        return self.log.clients_since(moment) == self.connections


def _measure(contestant: Contestant, plan: Plan) -> list[Sample]:
    with _started(contestant, plan.connections) as stage:
        return [_storm(stage, outage, plan.settle) for outage in plan.outages]


@contextmanager
def _started(contestant: Contestant, count: int) -> Iterator[_Stage]:
    """Start a broker and the contestant; yield when all are connected."""
    with (
        tempfile.TemporaryDirectory(prefix="hawser-bench-") as name,
        Mosquitto(Path(name)) as broker,
        StormLog(broker.log_file) as log,
    ):
        child = contestant.start(Path(name), broker.port, count)
        stage = _Stage(contestant, child, broker, log, count)
        try:
            child.wait_for(lambda: stage.everybody_since(0.0), CONNECT_TIMEOUT, "all connects")
            yield stage
        finally:
            child.stop()
            contestant.finish()


def _storm(stage: _Stage, outage: float, settle: float) -> Sample:
    """Take the broker away for `outage` seconds and watch who comes back when."""
    sys.stderr.write(f"{stage.contestant.name}: {outage:g} s without a broker\n")
    time.sleep(settle)
    failed, cpu_s = stage.failed_tries(), proc.cpu_seconds(stage.child.pid)
    killed_at = time.monotonic()
    stage.broker.kill()
    time.sleep(max(0.0, killed_at + outage - time.monotonic()))
    stage.broker.start()
    returned_at = stage.log.listens_at[-1]
    stage.log.longest_gap = 0.0
    _wait_for_all(stage, killed_at, returned_at)
    cpu_s = proc.cpu_seconds(stage.child.pid) - cpu_s
    time.sleep(AFTERMATH)
    tells = stage.contestant.failed_tries() is not None
    return _sample(
        stage,
        outage,
        [(at - returned_at, client) for at, client in stage.log.accepted if at >= killed_at],
        stage.failed_tries() - failed if tells else None,
        cpu_s,
    )


def _wait_for_all(stage: _Stage, killed_at: float, returned_at: float) -> None:
    """Return when all are back, or when waiting longer would tell nothing new."""
    seconds = returned_at + RETURN_TIMEOUT - time.monotonic()
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: stage.everybody_since(killed_at), seconds, "all to be back")


def _sample(
    stage: _Stage, outage: float, accepted: Accepted, failed_tries: int | None, cpu_s: float
) -> Sample:
    first: dict[bytes, float] = {}
    for at, client in accepted:
        first.setdefault(client, at)
    waits = list(first.values())
    return Sample(
        contestant=stage.contestant.name,
        outage_s=outage,
        connections=stage.connections,
        back=len(waits),
        p50_s=quantile(waits, 0.5),
        p90_s=quantile(waits, 0.9),
        p99_s=quantile(waits, 0.99),
        max_s=quantile(waits, 1.0),
        peak=most_within((at for at, _ in accepted), PEAK_WINDOW),
        connects_a_second=connects_a_second(accepted),
        repeated=len(accepted) - len(waits),
        failed_tries=failed_tries,
        cpu_s=cpu_s,
        precision_s=stage.log.longest_gap,
    )
