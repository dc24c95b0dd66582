"""Fill a database with a million messages and measure how fast the web finds some of them.

Real processes: gunicorn over SQLite, then over PostgreSQL. Every filter is asked for as a browser
does, page after page where a search says that it can go on, until something is found.
"""

from __future__ import annotations

import argparse
import html
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from bench import browse_data
from bench.connect import positive
from bench.site import site
from bench.stores import KINDS, Store, opened, why_not
from bench.storm_report import quantile
from bench.table import Row, render
from bench.visitor import Visitor

#: The target: 95 of 100 pages, milliseconds.
TARGET_MS = 200.0
#: Pages of one search at most.
PAGES = 200
_ONWARD = re.compile(r'data-stopped="yes" href="([^"]+)"')
_ROW = 'class="topic"><a href='
_BUSY = "plant/1/line/3/sensor-2/state"

#: What is asked for, by what it is called.
CASES: dict[str, dict[str, str]] = {
    "everything": {},
    "a busy connection": {"connection": "1"},
    "a quiet connection": {"connection": str(browse_data.QUIET)},
    "part of a name": {"name": "plant"},
    "a topic": {"topic": _BUSY},
    "a rare topic": {"topic": "alarm/1/fire"},
    "no such topic": {"topic": "no/such/topic"},
    "plant/+/line/3/+/state": {"topic": "plant/+/line/3/+/state"},
    "plant/# (2,000 topics)": {"topic": "plant/#"},
    "+/+/fire, rare": {"topic": "+/+/fire"},
    "+/+/nothing": {"topic": "+/+/nothing"},
    "a common text": {"text": '"ok"'},
    "a rare text": {"text": browse_data.RARE_WORD},
    "a text that is nowhere": {"text": "nowhere"},
    "the same in a connection": {"text": "nowhere", "connection": "1"},
    "the same in 20 topics": {"text": "nowhere", "topic": "plant/+/line/3/sensor-2/+"},
    "a rare text in a rare topic": {"text": browse_data.RARE_WORD, "topic": "alarm/#"},
    "a connection, another's topic": {"connection": "3", "topic": _BUSY},
    "a connection, another's 400": {"connection": "3", "topic": "plant/1/#"},
    "retained": {"retained": "yes"},
    "QoS 2 of a quiet connection": {"qos": "2", "connection": str(browse_data.QUIET)},
    "the last hour": {"span": "1h"},
    "7 days, text nowhere": {"span": "7d", "text": "nowhere"},
    "a day of three weeks ago": {"since": "DAY", "until": "NEXT"},
    "the same, a topic": {"since": "DAY", "until": "NEXT", "topic": "plant/+/line/3/+/state"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `browse` can be told."""
    add = parser.add_argument
    add("--messages", type=positive, default=1_000_000, metavar="N")
    add("--rounds", type=positive, default=10, metavar="R", help="times that each filter is asked")
    add("--database", choices=KINDS, action="append", help="again for a second; both by default")
    add("--json", action="store_true", help="print every page as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if the target was met everywhere."""
    measured: dict[str, dict[str, list[float]]] = {}
    for kind in arguments.database or KINDS:
        if problem := why_not(kind):
            sys.stderr.write(f"bench: {problem}\n")
            continue
        measured[kind] = _measure(kind, arguments.messages, arguments.rounds)
    missed = list(_missed(measured))
    if arguments.json:
        print(json.dumps({"pages_ms": measured, "missed": missed}, indent=2))
    else:
        print(_as_text(measured, arguments.messages, arguments.rounds, missed))
    return 1 if missed or not measured else 0


def _missed(measured: Mapping[str, Mapping[str, Sequence[float]]]) -> Iterator[str]:
    for kind, cases in measured.items():
        for title, pages in cases.items():
            if (slow := quantile(pages, 0.95)) > TARGET_MS:
                yield f"{kind}, {title}: 95 % within {slow:.0f} ms, more than {TARGET_MS:.0f}"


def _as_text(
    measured: Mapping[str, Mapping[str, Sequence[float]]],
    messages: int,
    rounds: int,
    missed: Sequence[str],
) -> str:
    columns: dict[str, dict[str, float | None]] = {}
    for kind, cases in measured.items():
        for name, share in (("half", 0.5), ("95 %", 0.95), ("all", 1.0)):
            columns[f"{kind} {name}"] = {
                title: quantile(pages, share) for title, pages in cases.items()
            }
        columns[f"{kind} pages"] = {title: len(p) / rounds for title, p in cases.items()}
    rows = [Row(title, title, "{:.0f}") for title in CASES]
    title = f"{messages:,} messages; milliseconds a page, and pages until something is found"
    notes = "".join(f"\nnote: {note}" for note in missed)
    return f"{title}\n{render(rows, columns)}{notes}"


# --- the measurement


def _measure(kind: str, messages: int, rounds: int) -> dict[str, list[float]]:
    """Return how long each page of each search took, milliseconds."""
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name:
        directory = Path(name)
        with opened(kind, directory) as store:
            browse_data.fill(store.engine, messages)
            with site(directory, _environment(directory, store)) as visitor:
                visitor.get("/admin/messages/")
                return {
                    title: [took for _ in range(rounds) for took in _search(visitor, asked)]
                    for title, asked in _cases().items()
                }


def _environment(directory: Path, store: Store) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "HAWSER_HOME": str(directory),
        "HAWSER_DATABASE_URL": store.url,
        "HAWSER_ENCRYPTION_KEYS": store.key,
    }


def _cases() -> dict[str, dict[str, str]]:
    day = datetime.now(UTC) - timedelta(days=21)
    words = {"DAY": f"{day:%Y-%m-%d 00:00}", "NEXT": f"{day + timedelta(days=1):%Y-%m-%d 00:00}"}
    return {
        title: {key: words.get(value, value) for key, value in asked.items()}
        for title, asked in CASES.items()
    }


def _search(visitor: Visitor, asked: Mapping[str, str]) -> Iterator[float]:
    """Yield how long each page took, until one shows a message or the search has ended."""
    path = f"/admin/messages/?{urlencode(asked)}"
    for _ in range(PAGES):
        begun = time.monotonic()
        page = visitor.get(path)
        yield (time.monotonic() - begun) * 1000
        onward = _ONWARD.search(page)
        if _ROW in page or onward is None:
            return
        path = html.unescape(onward[1])
