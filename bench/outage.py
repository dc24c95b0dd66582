"""Take PostgreSQL away while messages come: nobody is disconnected and nothing is lost.

The exit status is 1 when a message is not stored exactly once, when a session ends, or when the
worker needs longer than its target to catch up.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from bench import stores
from bench.connect import positive
from bench.intake import Intake, Watch, add_record
from bench.mosquitto import Mosquitto, executable
from bench.pace import Pace
from bench.processes import wait_until
from bench.stores import Store
from bench.takers import client

#: Seconds after the database's return until nothing waits any more.
DRAINED_WITHIN = 60.0
#: Given up after so many seconds.
GIVE_UP = 180.0
#: Seconds with a database before it goes.
BEFORE = 3.0
#: The broker keeps what the worker does not take meanwhile.
CONFIGURATION = "max_queued_messages 0\n"
_ENDED = re.compile(r": Client (bench-\d+) (?:closed|disconnected|has exceeded)")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long the database is away, under what load."""

    seconds: float
    #: Messages a second over all connections.
    rate: int = 200
    connections: int = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was counted; seconds are after the database's return."""

    outage_s: float
    published: int
    #: Published when the database came back, and not in the table then.
    waiting: int
    drained_s: float
    #: Until every connection says `connected` again.
    healthy_s: float
    missing: int
    spoilt: int
    duplicates: int
    #: Sessions that did not last, by the broker's word and by the worker's.
    disconnected: int
    sessions_lost: int
    hub_lag_ms: float
    peak_mb: float

    @property
    def problems(self) -> list[str]:
        """Say what must not be."""
        wrong = {
            "messages are not stored": self.missing,
            "rows are not byte-exact": self.spoilt,
            "rows are twice in the table": self.duplicates,
            "sessions ended, says the broker": self.disconnected,
            "sessions did not last, says the worker": self.sessions_lost,
        }
        found = [f"{count} {words}" for words, count in wrong.items() if count]
        if self.drained_s > DRAINED_WITHIN:
            found.append(f"caught up after {self.drained_s:.1f} s, not {DRAINED_WITHIN:g} s")
        return found


LINES = [
    ("messages published", "published", "{:,}"),
    ("not stored when the database came back", "waiting", "{:,}"),
    ("all of these stored after", "drained_s", "{:.1f} s"),
    ("every connection says connected after", "healthy_s", "{:.1f} s"),
    ("not stored in the end", "missing", "{}"),
    ("not byte-exact", "spoilt", "{}"),
    ("stored twice", "duplicates", "{}"),
    ("sessions that ended", "disconnected", "{}"),
    ("hub lag, longest", "hub_lag_ms", "{:.0f} ms"),
    ("peak memory", "peak_mb", "{:.0f} MB"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `outage` can be told."""
    add = parser.add_argument
    add("--seconds", type=float, default=600.0, help="how long the database is away")
    add("--rate", type=positive, default=200, metavar="N", help="messages a second")
    add("--connections", type=positive, default=5, metavar="N")
    add("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if nothing was lost and the target met."""
    if problem := _obstacle():
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    plan = Plan(arguments.seconds, arguments.rate, arguments.connections)
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name:
        outcome = trial(plan, Path(name))
    if arguments.json:
        print(json.dumps({**asdict(outcome), "missed": outcome.problems}, indent=2))
    else:
        print(_as_text(plan, outcome))
    return 1 if outcome.problems else 0


def _obstacle() -> str | None:
    if executable() is None:
        return "mosquitto is not installed (Debian: mosquitto)"
    return stores.why_not("postgresql")


def _as_text(plan: Plan, outcome: Outcome) -> str:
    title = f"PostgreSQL away for {plan.seconds:g} s, {plan.rate} messages/s of QoS 1"
    lines = [f"{title} over {plan.connections} connections"]
    lines += [f"{words:42}{form.format(getattr(outcome, key)):>12}" for words, key, form in LINES]
    return "\n".join(lines) + "".join(f"\nnote: {words}" for words in outcome.problems)


# --- the trial


def trial(plan: Plan, directory: Path) -> Outcome:
    """Run the trial in an empty directory."""
    with (
        stores.opened("postgresql", directory) as store,
        Mosquitto(directory, extra=CONFIGURATION) as broker,
    ):
        for index in range(plan.connections):
            add_record(store, client(index), broker.port, f"load/{index}/#")
        with Intake(directory, store) as intake, Watch(intake) as watch:
            intake.wait_for_connected(plan.connections)
            before = intake.sessions()
            with Pace(broker.port, plan.rate, plan.connections) as pace:
                away = _take_away(plan, store, intake, pace)
            _wait_for_rows(store, pace.published)
            tally = store.tally("load/")
            return Outcome(
                outage_s=plan.seconds,
                published=pace.published,
                waiting=away.waiting,
                drained_s=away.drained_s,
                healthy_s=away.healthy_s,
                missing=len(tally.missing(range(pace.published))),
                spoilt=tally.spoilt,
                duplicates=tally.extra,
                disconnected=len(_ENDED.findall(broker.log())),
                sessions_lost=_changed(before, intake.sessions()),
                hub_lag_ms=watch.hub_lag_ms,
                peak_mb=intake.peak_kb / 1024,
            )


@dataclass(frozen=True, slots=True)
class _Away:
    """How the return of the database went."""

    waiting: int
    drained_s: float
    healthy_s: float


def _take_away(plan: Plan, store: Store, intake: Intake, pace: Pace) -> _Away:
    """Kill the database, start it again after the time, and wait until all is as before."""
    assert store.server is not None
    time.sleep(BEFORE)
    store.server.stop_immediately()
    time.sleep(plan.seconds)
    store.server.start()
    returned_at = time.monotonic()
    due = pace.published
    waiting = due - store.count("load/")
    _wait_for_rows(store, due)
    drained_s = time.monotonic() - returned_at
    intake.wait_for_connected(plan.connections)
    return _Away(waiting, drained_s, time.monotonic() - returned_at)


def _wait_for_rows(store: Store, count: int) -> None:
    """Return when so many are stored, or when waiting longer would tell nothing new."""
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: store.count("load/") >= count, GIVE_UP, "the messages")


def _changed(before: dict[int, datetime | None], after: dict[int, datetime | None]) -> int:
    """Return how many sessions are not what they were."""
    return sum(after.get(number) != since for number, since in before.items())
