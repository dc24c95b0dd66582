"""Kill the worker and its database at random moments under load, and count what is lost.

A library: `bench loss` runs it long, a test of the suite short.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import stores
from bench.intake import Intake, add_record
from bench.mosquitto import Mosquitto
from bench.pace import Pace
from bench.payloads import Tally
from bench.postgresql import PostgreSQL
from bench.processes import wait_until
from bench.recorder import Recorder
from bench.stores import Store

#: The broker keeps whatever the worker has not acknowledged.
CONFIGURATION = "max_queued_messages 0\nmax_inflight_messages 1000\n"
#: Seconds after the last kill until the last message must be acknowledged: so long, and for
#: each of so many messages a second more.
DRAIN_TIMEOUT, DRAIN_RATE = 60.0, 2_000
#: A database that was killed is away for at most so long, besides its recovery, seconds.
LONGEST_AWAY = 0.5
#: Seconds between two looks for messages in flight, and for how long they are looked for.
GLANCE, LONGEST_AIM = 0.0005, 10.0
#: Seconds that a message spends at most between its arrival and its PUBACK, as a rule.
IN_HAND = 0.005
#: What a kill takes besides its interval, seconds: the aim, and a worker that starts.
KILL_TAKES = 0.5
#: The publisher is never farther ahead of the worker: mosquitto 2.0.11 lets all that it has
#: queued be in flight once the first are acknowledged, and there are 65,535 Packet Identifiers.
BACKLOG = 30_000
#: Messages a second when all kills are done.
HURRY = 20_000.0


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is killed, under what load."""

    database: str
    worker_kills: int
    database_kills: int
    messages: int
    #: Seconds from one kill of the worker to the next, on average: at random up to the double.
    interval: float
    seed: int = 0

    @property
    def rate(self) -> float:
        """Messages a second, so that they last about as long as the kills."""
        return self.messages / (self.worker_kills * (self.interval + KILL_TAKES))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was counted."""

    messages: int
    worker_kills: int
    database_kills: int
    #: Kills that found messages in flight: those that could have lost one.
    kills_in_flight: int
    acknowledged: int
    stored: int
    #: Acknowledged by the worker and not in the table; the one figure that must be 0.
    lost: int
    #: Published and not in the table, acknowledged or not.
    missing: int
    #: Rows that are not byte for byte what was published.
    spoilt: int
    #: Rows beyond the first of a message, and how many of these nothing explains.
    duplicates: int
    unexplained: int
    #: PUBACKs for messages that were not in flight.
    unknown_pubacks: int
    seconds: float

    @property
    def problems(self) -> list[str]:
        """Say what must not be."""
        wrong = {
            "messages were acknowledged and are lost": self.lost,
            "messages were published and are not stored": self.missing,
            "messages were never acknowledged": self.messages - self.acknowledged,
            "rows are not byte-exact": self.spoilt,
            "rows are twice in the table without a message sent twice": self.unexplained,
            "PUBACKs were for messages that were not in flight": self.unknown_pubacks,
        }
        return [f"{count} {words}" for words, count in wrong.items() if count]


@dataclass(frozen=True, slots=True)
class _Stage:
    """Everything that runs."""

    store: Store
    recorder: Recorder
    intake: Intake
    pace: Pace


def run(plan: Plan, directory: Path) -> Outcome:
    """Run the trial in an empty directory."""
    chance = random.Random(plan.seed)  # noqa: S311 - no secret
    began_at = time.monotonic()
    with _running(plan, directory) as stage:
        with _database_kills(plan, stage.store, random.Random(plan.seed + 1)):  # noqa: S311
            in_flight = sum(_kill_worker(plan, stage, chance) for _ in range(plan.worker_kills))
        _drain(plan, stage)
        tally = stage.store.tally("load/")
        return _outcome(plan, stage.recorder, tally, in_flight, time.monotonic() - began_at)


@contextmanager
def _running(plan: Plan, directory: Path) -> Iterator[_Stage]:
    with ExitStack() as opened:
        store = opened.enter_context(stores.opened(plan.database, directory))
        broker = opened.enter_context(Mosquitto(directory, extra=CONFIGURATION))
        recorder = opened.enter_context(Recorder(broker.port))
        add_record(store, "loss", recorder.port, "load/#")
        intake = opened.enter_context(Intake(directory, store))
        intake.wait_for_connected(1)
        pace = Pace(
            broker.port,
            plan.rate,
            most=plan.messages,
            limit=lambda: len(recorder.acknowledged) + BACKLOG,
        )
        yield _Stage(store, recorder, intake, opened.enter_context(pace))


def _kill_worker(plan: Plan, stage: _Stage, chance: random.Random) -> bool:
    """Kill and start the worker; return whether that met messages in flight.

    Every second time the kill waits for messages that are: they are in the worker's hands for
    a few milliseconds only, and any moment would mostly miss them.
    """
    time.sleep(chance.uniform(0, 2 * plan.interval))
    if chance.random() < 0.5:
        deadline = time.monotonic() + LONGEST_AIM
        while not stage.recorder.in_flight and stage.pace.is_alive():
            if time.monotonic() > deadline:
                break
            time.sleep(GLANCE)
        time.sleep(chance.uniform(0, IN_HAND))
    in_flight = stage.recorder.in_flight
    stage.intake.child.kill()
    stage.intake.start()
    return in_flight > 0


@contextmanager
def _database_kills(plan: Plan, store: Store, chance: random.Random) -> Iterator[None]:
    """Kill the database beside, so many times, spread over the kills of the worker."""
    if not plan.database_kills:
        yield
        return
    assert store.server is not None
    mean = plan.interval * plan.worker_kills / plan.database_kills
    waits = [chance.uniform(0, 1.6 * mean) for _ in range(plan.database_kills)]
    thread = threading.Thread(target=_kill_database, args=(store.server, waits, chance))
    thread.start()
    yield
    thread.join()


def _kill_database(server: PostgreSQL, waits: list[float], chance: random.Random) -> None:
    for wait in waits:
        time.sleep(wait)
        server.stop_immediately()
        time.sleep(chance.uniform(0, LONGEST_AWAY))
        server.start()


def _drain(plan: Plan, stage: _Stage) -> None:
    """Return when every message is acknowledged, or when waiting longer tells nothing new."""
    stage.pace.hurry(HURRY)
    stage.pace.join()
    stage.pace.stop()
    seconds = DRAIN_TIMEOUT + plan.messages / DRAIN_RATE
    acknowledged = stage.recorder.acknowledged
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: len(acknowledged) == plan.messages, seconds, "every PUBACK")


def _outcome(
    plan: Plan, recorder: Recorder, tally: Tally, in_flight: int, seconds: float
) -> Outcome:
    again = recorder.sent_again
    return Outcome(
        messages=plan.messages,
        worker_kills=plan.worker_kills,
        database_kills=plan.database_kills,
        kills_in_flight=in_flight,
        acknowledged=len(recorder.acknowledged),
        stored=len(tally.rows),
        lost=len(tally.missing(recorder.acknowledged)),
        missing=len(tally.missing(range(plan.messages))),
        spoilt=tally.spoilt,
        duplicates=tally.extra,
        unexplained=sum(max(0, rows - 1 - again[n]) for n, rows in tally.rows.items()),
        unknown_pubacks=recorder.unknown,
        seconds=seconds,
    )
