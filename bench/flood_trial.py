"""One flood of `bench flood`: a scripted broker floods, neighbours live on a real one."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from bench import proc, stores
from bench.contestants import ROOT
from bench.flood_broker import POOL, TOPIC
from bench.flood_report import Outcome
from bench.intake import Intake, Watch, add_record
from bench.mosquitto import Mosquitto
from bench.pace import Pace
from bench.payloads import Tally, number_of
from bench.ports import free_port
from bench.processes import Child, wait_until
from bench.stores import Store
from bench.storm_report import quantile
from bench.takers import client
from database.models import Message

READY_TIMEOUT = 30.0  # seconds
#: Seconds after the flood until everything must be stored or counted.
SETTLE_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One flood; the neighbours get one message a second each."""

    database: str
    qos: int
    rate: int
    seconds: float
    neighbours: int
    #: Settings of the worker, for a queue that is soon full.
    settings: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Stage:
    """What runs during a flood."""

    store: Store
    intake: Intake
    flooder: Child
    pace: Pace
    #: The id of the connection that is flooded.
    flooded: int


def trial(plan: Plan, directory: Path) -> Outcome:
    """Run one flood in an empty directory."""
    with _running(plan, directory) as stage, Watch(stage.intake) as watch:
        before, cpu_s = stage.intake.sessions(), proc.cpu_seconds(stage.intake.child.pid)
        sent, seconds = _flood(plan, stage)
        stage.pace.stop()
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: _accounted(stage) >= sent, SETTLE_TIMEOUT, "every message")
            wait_until(lambda: _neighbours(stage), SETTLE_TIMEOUT, "the neighbours' messages")
        after = stage.intake.sessions()
        flood, neighbours = stage.store.tally(TOPIC), stage.store.tally("load/")
        published = stage.pace.published
        return Outcome(
            database=plan.database,
            qos=plan.qos,
            rate=plan.rate,
            reached_rate=sent / seconds,
            sent=sent,
            stored=flood.rows.total() + flood.spoilt,
            dropped=_dropped(stage),
            wrong=_wrong(plan, sent, flood),
            neighbours_lost=sum(after.get(each) != since for each, since in before.items()),
            neighbours_wrong=neighbours.extra + len(neighbours.missing(range(published))),
            neighbours_ms=quantile(_delays(stage), 0.99) * 1000,
            hub_lag_ms=watch.hub_lag_ms,
            peak_mb=stage.intake.peak_kb / 1024,
            cpu_s=proc.cpu_seconds(stage.intake.child.pid) - cpu_s,
        )


@contextmanager
def _running(plan: Plan, directory: Path) -> Iterator[_Stage]:
    port = free_port()
    with (
        stores.opened(plan.database, directory) as store,
        Mosquitto(directory) as broker,
        _flooder(plan, directory, port) as flooder,
    ):
        for index in range(plan.neighbours):
            add_record(store, client(index), broker.port, f"load/{index}/#", keepalive_s=5)
        flooded = add_record(store, "flooded", port, "flood/#")
        intake = Intake(directory, store, dict(plan.settings))
        with intake:
            intake.wait_for_connected(plan.neighbours + 1)
            with Pace(broker.port, plan.neighbours, plan.neighbours) as pace:
                yield _Stage(store, intake, flooder, pace, flooded)


@contextmanager
def _flooder(plan: Plan, directory: Path, port: int) -> Iterator[Child]:
    command = [sys.executable, "-m", "bench.flood_broker", "--port", str(port)]
    command += ["--qos", str(plan.qos), "--rate", str(plan.rate), "--seconds", str(plan.seconds)]
    with Child(command, directory / "flood.log", cwd=ROOT) as child:
        child.wait_for_output("ready", READY_TIMEOUT)
        yield child


def _flood(plan: Plan, stage: _Stage) -> tuple[int, float]:
    """Return how many messages were sent in how many seconds."""
    stage.flooder.send_signal(signal.SIGUSR1)
    stage.flooder.wait_for_output("sent", plan.seconds + SETTLE_TIMEOUT)
    told = re.search(r"sent (\d+) in (\S+) s", stage.flooder.output())
    assert told is not None
    return int(told[1]), float(told[2])


def _dropped(stage: _Stage) -> int:
    """Return how many messages the worker says it did not store."""
    rows = {row.connection_id: row for row in stage.intake.statuses()}
    return rows[stage.flooded].messages_dropped + rows[stage.flooded].messages_set_aside


def _accounted(stage: _Stage) -> int:
    """Return how many messages of the flood are stored or counted."""
    time.sleep(0.2)  # counting takes its time from the database that still stores
    return stage.store.count(TOPIC) + _dropped(stage)


def _neighbours(stage: _Stage) -> bool:
    return stage.store.count("load/") >= stage.pace.published


def _wrong(plan: Plan, sent: int, tally: Tally) -> int:
    if not plan.qos:
        return tally.spoilt
    due = {n: sent // POOL + (n < sent % POOL) for n in range(POOL)}
    return tally.spoilt + sum(tally.rows[n] != count for n, count in due.items())


def _delays(stage: _Stage) -> list[float]:
    """Return the seconds from PUBLISH to receipt of each message of the neighbours."""
    query = select(Message.payload, Message.received_at).where(Message.topic.startswith("load/"))
    with stage.store.engine.connect() as transaction:
        rows = [(number_of(row.payload), row.received_at) for row in transaction.execute(query)]
    return [at.timestamp() - stage.pace.sent_at[n] for n, at in rows if n is not None]
