"""Take QoS 1 messages as fast as they come, store them, and acknowledge them after the commit.

One publisher, one mosquitto, and in turn the worker, a paho client with a writer that stores in
batches, and `mosquitto_sub`, which stores nothing. Every message must be in the table byte for
byte, and the broker must have nothing left to send. The exit status is 1 when the worker
misses one of its targets.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import stores
from bench.connect import positive
from bench.contestants import ROOT
from bench.ingest_report import PROTOCOL_LIMIT, Sample, as_text, lost, medians, problems
from bench.mosquitto import Mosquitto, executable
from bench.processes import Child
from bench.session import RawSession
from bench.takers import PahoTaker, Setup, SubTaker, Taker, WorkerTaker, client

#: Seconds between two looks at how much is stored: the precision of the end.
LOOK_INTERVAL = 0.05
#: Slower than so many messages a second is given up.
SLOWEST_RATE, SPARE_SECONDS = 500, 60.0
#: Of messages in flight to one client: as many as MQTT allows, and mosquitto's default.
LIMITS = f"{PROTOCOL_LIMIT},20"
#: Beyond what the broker may have in flight it queues without a bound. TCP as mosquitto has it
#: by default: without a delay it would send every message by itself and be the limit.
CONFIGURATION = """
max_inflight_messages {in_flight}
max_queued_messages 0
set_tcp_nodelay false
log_type error
log_type warning
log_type notice
log_type information
log_type subscribe
"""


@dataclass(frozen=True, slots=True)
class Case:
    """One measurement: who takes, over how many connections, into which database."""

    taker: type[Taker]
    database: str
    connections: int
    messages: int
    in_flight: int = PROTOCOL_LIMIT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `ingest` can be told."""
    add = parser.add_argument
    add("--database", choices=[*stores.KINDS, "both"], default="both")
    add("--connections", default="1,50", metavar="N,N", help="numbers of connections")
    add("--in-flight", default=LIMITS, metavar="N,N", help="the broker's limits of these")
    add("--messages", type=positive, default=200_000, metavar="N", help="in each measurement")
    add("--runs", type=positive, default=3, metavar="R", help="judge medians of R runs")
    add("--only", choices=["worker"], help="leave out what the worker is compared with")
    add("--json", action="store_true", help="print every sample as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if the worker met every target."""
    kinds = stores.KINDS if arguments.database == "both" else (arguments.database,)
    if problem := _obstacle(kinds):
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    ceiling = publisher_alone(arguments.messages)
    everything = [measure(case) for case in _cases(kinds, arguments)]
    samples = medians(everything)
    missed = lost(everything) + problems(samples)
    if arguments.json:
        report = {"samples": [asdict(sample) for sample in samples], "missed": missed}
        print(json.dumps({**report, "publisher_alone": ceiling}, indent=2))
    else:
        print(as_text(samples, ceiling, missed))
    return 1 if missed else 0


def _obstacle(kinds: tuple[str, ...]) -> str | None:
    if executable() is None:
        return "mosquitto is not installed (Debian: mosquitto)"
    if shutil.which("mosquitto_sub") is None:
        return "mosquitto_sub is not installed (Debian: mosquitto-clients)"
    return next(filter(None, map(stores.why_not, kinds)), None)


def _cases(kinds: tuple[str, ...], arguments: argparse.Namespace) -> list[Case]:
    """Return what is measured, what is compared side by side."""
    takers: list[tuple[type[Taker], str]] = [(WorkerTaker, kind) for kind in kinds]
    if arguments.only is None:
        takers += [(PahoTaker, kind) for kind in kinds]
        takers += [(SubTaker, "sqlite")]
    return [
        Case(taker, kind, positive(count), arguments.messages, positive(in_flight))
        for in_flight in arguments.in_flight.split(",")
        # Where the broker's limit decides there is no target to judge.
        for _ in range(arguments.runs if positive(in_flight) == PROTOCOL_LIMIT else 1)
        for count in arguments.connections.split(",")
        for taker, kind in takers
    ]


# --- one measurement


def measure(case: Case) -> Sample:
    """Let one taker take everything and check what became of it."""
    words = f"{case.connections} connections, {case.in_flight} in flight"
    sys.stderr.write(f"{case.taker.name}, {case.database}, {words}\n")
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name:
        directory = Path(name)
        extra = CONFIGURATION.format(in_flight=case.in_flight)
        with (
            stores.opened(case.database, directory) as store,
            Mosquitto(directory, extra=extra) as broker,
        ):
            setup = Setup(directory, broker, case.connections, case.messages, store)
            return _take(case, setup)


def _take(case: Case, setup: Setup) -> Sample:
    taker = case.taker()
    try:
        taker.start(setup)
        began_at, taken_at, published_s = _flow(taker, setup)
        usage = taker.usage()
    finally:
        taker.stop()
    return Sample(
        taker=taker.name,
        database=case.database if taker.stores else None,
        connections=case.connections,
        in_flight=case.in_flight,
        messages=case.messages,
        rate=case.messages / (taken_at - began_at),
        published_rate=case.messages / published_s,
        unacknowledged=_unacknowledged(setup) if taker.stores else None,
        usage=usage,
        **_stored(setup) if taker.stores else {},
    )


def _flow(taker: Taker, setup: Setup) -> tuple[float, float, float]:
    """Publish; return when that began, when all was taken, and how long the publisher took."""
    seconds = setup.messages / SLOWEST_RATE + SPARE_SECONDS
    with publisher(setup.directory, setup.broker.port, setup.connections, setup.messages) as child:
        child.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + seconds
        while (taken := taker.taken()) < setup.messages:
            if time.monotonic() > deadline:
                msg = f"{taken} of {setup.messages} messages after {seconds:g} s"
                raise TimeoutError(msg)
            time.sleep(LOOK_INTERVAL)
        taken_at = time.monotonic()
        child.wait_for_output("ended", SPARE_SECONDS)
        began_at, ended_at = _told(child)
    return began_at, taken_at, ended_at - began_at


def _stored(setup: Setup) -> dict[str, int]:
    """Compare the table with what was published."""
    tally = setup.store.tally("load/")
    missing = len(tally.missing(range(setup.messages)))
    return {"missing": missing, "spoilt": tally.spoilt, "extra": tally.extra}


def _unacknowledged(setup: Setup) -> int:
    """Take over each session and return how many messages the broker sends once more."""
    again = 0
    for index in range(setup.connections):
        with RawSession(setup.broker.port, client(index), clean=False) as session:
            session.catch_up()
            again += sum(message.topic.startswith(b"load/") for message in session.received)
    return again


# --- the publisher


def publisher_alone(messages: int) -> float:
    """Return how many messages a second the publisher sends when nobody takes them."""
    with (
        tempfile.TemporaryDirectory(prefix="hawser-bench-") as name,
        Mosquitto(Path(name)) as broker,
        publisher(Path(name), broker.port, 1, messages) as child,
    ):
        child.send_signal(signal.SIGUSR1)
        child.wait_for_output("ended", SPARE_SECONDS)
        began_at, ended_at = _told(child)
    return messages / (ended_at - began_at)


@contextmanager
def publisher(directory: Path, port: int, connections: int, messages: int) -> Iterator[Child]:
    """Start a publisher and yield it when it is ready."""
    command = [sys.executable, "-m", "bench.publisher", "--port", str(port)]
    command += ["--connections", str(connections), "--messages", str(messages)]
    with Child(command, directory / "publisher.log", cwd=ROOT) as child:
        child.wait_for_output("ready", SPARE_SECONDS)
        yield child


def _told(child: Child) -> tuple[float, float]:
    """Return when the publisher began and ended, by the monotonic clock of the machine."""
    words = child.output().split()
    return float(words[words.index("began") + 1]), float(words[words.index("ended") + 1])
