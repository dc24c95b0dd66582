"""Ask health, dashboard and list of N connections that a worker holds, and measure the answers.

Real processes: gunicorn, the worker, mosquitto. Probes ask for the health 200 times a second,
first without an account, then with one, whether answers come or not: the clock runs from when
a question was due. Meanwhile browsers look at dashboard and list and poll them, and messages
come. `/livez`, which reads nothing, is asked for beside, as a reference.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bench import proc
from bench.askers import Answers, Browser, Probe, asking
from bench.connect import SPARE_FILES, positive
from bench.contestants import ROOT
from bench.mosquitto import Mosquitto, executable
from bench.pace import Pace
from bench.ports import HOST
from bench.processes import Child, allow_many_files
from bench.publisher import topic
from bench.site import site
from bench.stores import KINDS, Store, opened, why_not
from bench.storm_report import quantile
from bench.table import Row, render
from bench.visitor import Visitor
from database.models import Connection, ConnectionStatus, Subscription
from database.words import ConnectionState

#: The targets, milliseconds: 99 of 100 answers of health, 95 of 100 of each page and poll.
HEALTH_MS, PAGE_MS = 50.0, 300.0
HEALTH = "/api/v1/mqtt/health/"
PAGES = {"dashboard": "/admin/", "list": "/admin/connections/"}
BROWSERS = 3
#: Questions a second to the reference.
REFERENCE_RATE = 20.0
#: Messages a second, over so many of the connections.
MESSAGES, TALKING = 50.0, 20
#: Connections of one site.
SITE = 17
SWITCH_INTERVAL = 0.0005  # seconds
#: Seconds allowed for all connects: this and so many connections a second.
CONNECT_TIMEOUT, SLOWEST_RATE = 60.0, 50


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    connections: int
    seconds: float
    rate: float
    #: Seconds before the measurement in which the same is asked.
    warm_up: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one run on one database."""

    answers: Mapping[str, Answers]
    #: Share of one core, by process.
    cpu_percent: Mapping[str, float]
    connected: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `web` can be told."""
    add = parser.add_argument
    add("--connections", type=positive, default=5000, metavar="N")
    add("--seconds", type=float, default=30.0, metavar="S", help="for each kind of caller")
    add("--rate", type=float, default=200.0, metavar="R", help="questions a second to health")
    add("--warm-up", type=float, default=5.0, metavar="S", help="seconds that do not count")
    add("--database", choices=KINDS, action="append", help="again for a second; both by default")
    add("--json", action="store_true", help="print the measurement as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if every target was met."""
    plan = Plan(arguments.connections, arguments.seconds, arguments.rate, arguments.warm_up)
    # Those who ask are threads of this process: none may hold up the others.
    sys.setswitchinterval(SWITCH_INTERVAL)
    gc.freeze()
    if problem := _obstacle(plan.connections):
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    measured: dict[str, Measured] = {}
    for kind in arguments.database or KINDS:
        if problem := why_not(kind):
            sys.stderr.write(f"bench: {problem}\n")
            continue
        measured[kind] = _measure(kind, plan)
    missed = [text for kind, found in measured.items() for text in _missed(kind, found, plan)]
    print(_as_json(measured, missed) if arguments.json else _as_text(measured, plan, missed))
    return 1 if missed or not measured else 0


def _obstacle(connections: int) -> str | None:
    if executable() is None:
        return "mosquitto is not installed (Debian: mosquitto)"
    if (limit := allow_many_files()) < connections + SPARE_FILES:
        return f"{connections} connections need more open files than the {limit} allowed"
    return None


# --- the report


def _missed(kind: str, found: Measured, plan: Plan) -> Iterator[str]:
    for name, answers in found.answers.items():
        share, limit = (0.99, HEALTH_MS) if name.startswith("health") else (0.95, PAGE_MS)
        if (slow := quantile(answers.took, share)) > limit:
            yield f"{kind}, {name}: {share:.0%} within {slow:.0f} ms, more than {limit:.0f}"
        if bad := answers.bad():
            yield f"{kind}, {name}: answers with status {bad}"
    if found.connected < plan.connections:
        yield f"{kind}: at the end {found.connected} were connected"


def _as_json(measured: Mapping[str, Measured], missed: Sequence[str]) -> str:
    found = {
        kind: {
            "took_ms": {name: answers.took for name, answers in each.answers.items()},
            "cpu_percent": each.cpu_percent,
            "connected": each.connected,
        }
        for kind, each in measured.items()
    }
    return json.dumps({"databases": found, "missed": missed}, indent=2)


def _as_text(measured: Mapping[str, Measured], plan: Plan, missed: Sequence[str]) -> str:
    blocks = [
        f"{plan.connections:,} connections, health asked for {plan.rate:g} times a second, "
        f"{BROWSERS} browsers; milliseconds"
    ]
    for kind, found in measured.items():
        rows = [Row(name, name, "{:.1f}") for name in found.answers]
        columns: dict[str, dict[str, float | None]] = {
            title: {name: quantile(each.took, share) for name, each in found.answers.items()}
            for title, share in (("half", 0.5), ("95 %", 0.95), ("99 %", 0.99), ("all", 1.0))
        }
        columns["answers"] = {name: len(each.took) for name, each in found.answers.items()}
        columns["kB"] = {name: each.size / 1000 for name, each in found.answers.items()}
        cpu = ", ".join(f"{name} {share:.0f} %" for name, share in found.cpu_percent.items())
        blocks.append(f"\n{kind}\n{render(rows, columns)}\nof one core: {cpu}")
    blocks += [f"note: {text}" for text in missed]
    return "\n".join(blocks)


# --- the measurement


def _measure(kind: str, plan: Plan) -> Measured:
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name, ExitStack() as running:
        directory, open_ = Path(name), running.enter_context
        store = open_(opened(kind, directory))
        broker = open_(Mosquitto(directory))
        _fill(store, broker.port, plan.connections)
        environment = _environment(directory, store)
        visitor = open_(site(directory, environment))
        worker = open_(_worker(directory, environment))
        limit = CONNECT_TIMEOUT + plan.connections / SLOWEST_RATE
        _say(f"{kind}: waiting for {plan.connections:,} connections")
        worker.wait_for(
            lambda: _connected(store) == plan.connections, limit, "all connections connected"
        )
        open_(Pace(broker.port, MESSAGES, min(TALKING, plan.connections)))
        before, started = _cpu(worker, visitor), time.monotonic()
        answers = _ask(visitor, plan)
        after, took = _cpu(worker, visitor), time.monotonic() - started
        cpu = {key: 100 * (after[key] - before[key]) / took for key in before}
        return Measured(answers, cpu, _connected(store))


def _fill(store: Store, port: int, connections: int) -> None:
    with Session(store.engine) as session:
        session.add_all(_record(index, port) for index in range(connections))
        session.commit()


def _record(index: int, port: int) -> Connection:
    record = Connection(
        name=f"plant {index}",
        site=f"site_{index // SITE}",
        host=HOST,
        port=port,
        client_id="{site}_{id}_{hostname}",
        status_topic="{site}/{id}/backend/status",
    )
    if index < TALKING:
        record.subscriptions = [Subscription(topic_filter=topic(index), qos=1)]
    return record


def _environment(directory: Path, store: Store) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HAWSER_HOME": str(directory),
        "HAWSER_DATABASE_URL": store.url,
        "HAWSER_ENCRYPTION_KEYS": store.key,
        "HAWSER_HOSTNAME": "bench",
    }


@contextmanager
def _worker(directory: Path, environment: Mapping[str, str]) -> Iterator[Child]:
    command = [sys.executable, "-m", "mqttworker"]
    with Child(command, directory / "worker.log", env=environment, cwd=ROOT) as child:
        yield child


def _connected(store: Store) -> int:
    query = select(func.count()).where(ConnectionStatus.state == ConnectionState.CONNECTED)
    with store.engine.connect() as transaction:
        return transaction.scalar(query) or 0


def _cpu(worker: Child, visitor: Visitor) -> dict[str, float]:
    return {
        "worker": proc.cpu_seconds(worker.pid),
        "web": proc.cpu_seconds(visitor.pid),
        "this benchmark": time.process_time(),
    }


def _ask(visitor: Visitor, plan: Plan) -> dict[str, Answers]:
    found: dict[str, Answers] = {}
    headers = f"Cookie: {visitor.cookie}\r\n"
    for caller, own in (("nobody", ""), ("an account", headers)):
        _say(f"health for {caller}")
        health = Probe(visitor.port, HEALTH, plan.rate, own)
        livez = Probe(visitor.port, "/livez", REFERENCE_RATE)
        browsers = [Browser(visitor.port, PAGES, headers) for _ in range(BROWSERS)]
        with asking(health, livez, *browsers):
            time.sleep(plan.warm_up)
            everybody: list[Probe | Browser] = [health, livez, *browsers]
            for asker in everybody:
                asker.forget()
            time.sleep(plan.seconds)
        found[f"health, {caller}"] = health.answers
        found[f"livez, beside {caller}"] = livez.answers
        for browser in browsers:
            for name, answers in browser.answers.items():
                found.setdefault(name, Answers()).join(answers)
    return found


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
