"""Edit N connections in the web and measure until each is connected anew.

Real processes: gunicorn, the worker, mosquitto. An edit is what a browser does: it sends the
form of the record, with another user name. The clock runs from the click until the broker has
accepted the new CONNECT and until the web's database says `connected` with the new revision.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, select

from bench.connect import SPARE_FILES, positive
from bench.contestants import Worker
from bench.mosquitto import Mosquitto, executable
from bench.processes import Child, allow_many_files, wait_until
from bench.site import site
from bench.storm_report import quantile
from bench.table import Row, render
from bench.visitor import Visitor
from database.models import ConnectionStatus
from database.words import ConnectionState

#: The target: 99 of 100 edits, seconds.
TARGET = 2.0
CONNECT_TIMEOUT = 60.0  # seconds, for the first connects
EDIT_TIMEOUT = 20.0  # seconds
#: Longest pause before the next edit, seconds: edits meet the worker in every phase of its second.
PAUSE = 1.0
_ACCEPTED = re.compile(rb"New client connected from \S+ as \S+ \(p\d, c\d, k\d+, u'([^']*)'\)")


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit; seconds from the click."""

    #: Until the answer of the web.
    saved_s: float
    #: Until the broker accepted the CONNECT with the new user name.
    accepted_s: float
    #: Until the database says `connected` with the new revision.
    told_s: float


ROWS = [
    Row("answer of the web", "saved_s", "{:.2f} s"),
    Row("accepted by the broker", "accepted_s", "{:.2f} s"),
    Row("told as connected", "told_s", "{:.2f} s"),
]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `edit` can be told."""
    add = parser.add_argument
    add("--connections", type=positive, default=1000, metavar="N", help="that are not edited")
    add("--edits", type=positive, default=100, metavar="E")
    add("--json", action="store_true", help="print every edit as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if the target was met and nobody else was disturbed."""
    if problem := _obstacle(arguments.connections + arguments.edits):
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    edits, disturbed = _measure(arguments.connections, arguments.edits)
    slowest = quantile([edit.told_s for edit in edits], 0.99)
    missed = [f"99 % told after {slowest:.2f} s, more than {TARGET:g} s"] * (slowest > TARGET)
    missed += [f"{disturbed} other connections lost their session"] * (disturbed > 0)
    if arguments.json:
        report = {"edits": [asdict(edit) for edit in edits], "disturbed": disturbed}
        print(json.dumps({**report, "missed": missed}, indent=2))
    else:
        print(_as_text(edits, arguments.connections, disturbed, missed))
    return 1 if missed else 0


def _obstacle(connections: int) -> str | None:
    if executable() is None:
        return "mosquitto is not installed (Debian: mosquitto)"
    if (limit := allow_many_files()) < connections + SPARE_FILES:
        return f"{connections} connections need more open files than the {limit} allowed"
    return None


def _as_text(edits: Sequence[Edit], others: int, disturbed: int, missed: Sequence[str]) -> str:
    columns: dict[str, dict[str, float | None]] = {
        title: {
            row.key: quantile([getattr(edit, row.key) for edit in edits], share) for row in ROWS
        }
        for title, share in (("half of them", 0.5), ("90 %", 0.9), ("99 %", 0.99), ("all", 1.0))
    }
    title = (
        f"{len(edits)} edits beside {others:,} other connections, of which {disturbed} were lost"
    )
    notes = "".join(f"\nnote: {note}" for note in missed)
    return f"{title}\n{render(ROWS, columns)}{notes}"


# --- the measurement


def _measure(others: int, edits: int) -> tuple[list[Edit], int]:
    """Return the edits, and how many of the other connections lost their session meanwhile."""
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name:
        directory = Path(name)
        with Mosquitto(directory) as broker, _product(directory, broker, others + edits) as parts:
            visitor, engine = parts
            before = _sessions(engine)
            edited = list(before)[:: len(before) // edits][:edits]
            found = [_edit(visitor, engine, broker.log_file, number) for number in edited]
            after = _sessions(engine)
            return found, sum(before[each] != after[each] for each in set(before) - set(edited))


@contextmanager
def _product(directory: Path, broker: Mosquitto, count: int) -> Iterator[tuple[Visitor, Engine]]:
    """Start worker and web; yield somebody who is signed in, when all are connected."""
    worker = Worker()
    worker.prepare(directory, broker.port, count)
    try:
        with site(directory, worker.environment) as visitor, worker.run(directory) as child:
            _wait_for_sessions(worker.engine, child, count)
            yield visitor, worker.engine
    finally:
        worker.finish()


def _wait_for_sessions(engine: Engine, child: Child, count: int) -> None:
    wanted = f"{count} connections"
    child.wait_for(lambda: len(_connected(engine)) == count, CONNECT_TIMEOUT, wanted)


def _connected(engine: Engine) -> list[int]:
    """Return the ids of the connections that are connected."""
    query = select(ConnectionStatus.connection_id)
    query = query.where(ConnectionStatus.state == ConnectionState.CONNECTED)
    with engine.connect() as transaction:
        return list(transaction.scalars(query))


def _sessions(engine: Engine) -> dict[int, object]:
    """Return since when each connection is connected, by id."""
    query = select(ConnectionStatus.connection_id, ConnectionStatus.connected_since)
    with engine.connect() as transaction:
        return {row.connection_id: row.connected_since for row in transaction.execute(query)}


def _edit(visitor: Visitor, engine: Engine, log: Path, number: int) -> Edit:
    """Change the user name of one record and follow what comes of it."""
    time.sleep(random.uniform(0, PAUSE))  # noqa: S311 - no secret
    path = f"/admin/connections/edit/?id={number}"
    fields = visitor.form(path)
    name = f"edit-{number}-{os.getpid()}"
    read_from = log.stat().st_size
    clicked_at = time.monotonic()
    visitor.post(path, {**fields, "username": name})
    saved_s = time.monotonic() - clicked_at
    moments: dict[str, float] = {}

    def followed() -> bool:
        now = time.monotonic() - clicked_at
        if "accepted" not in moments and name.encode() in _accepted(log, read_from):
            moments["accepted"] = now
        if "told" not in moments and _is_told(engine, number, int(fields["revision"])):
            moments["told"] = now
        return len(moments) == 2

    wait_until(followed, EDIT_TIMEOUT, f"connection {number} with its new user name")
    return Edit(saved_s, moments["accepted"], moments["told"])


def _accepted(log: Path, start: int) -> list[bytes]:
    """Return the user names of the clients that were accepted since the log was so long."""
    with log.open("rb") as lines:
        lines.seek(start)
        return _ACCEPTED.findall(lines.read())


def _is_told(engine: Engine, number: int, old_revision: int) -> bool:
    query = select(ConnectionStatus.state, ConnectionStatus.applied_revision)
    with engine.connect() as transaction:
        row = transaction.execute(query.where(ConnectionStatus.connection_id == number)).one()
    return bool(row.state == ConnectionState.CONNECTED and row.applied_revision > old_revision)
