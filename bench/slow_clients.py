"""Hold up the web with N slow clients of each kind, and measure health and pages meanwhile.

The kinds: clients that send a header line, or a byte of a form, every two seconds; that connect
and stay silent; that ask for a large file and do not read it. Whoever is thrown out comes again
a while later. gunicorn is a process of its own, without a worker beside it and with all
connections disabled. The first figures are those without any slow client.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine, insert, update

from bench import browse_data, proc
from bench.askers import Answers, Probe, asking
from bench.connect import SPARE_FILES, positive
from bench.ports import HOST
from bench.processes import allow_many_files
from bench.site import site
from bench.stores import KINDS, opened, why_not
from bench.storm_report import quantile
from bench.table import Row, render
from bench.visitor import Visitor
from database.clock import database_now
from database.models import Connection, WorkerHeartbeat
from database.words import WorkerState

#: The targets: the slowest answer of health and of a page, milliseconds; memory, MB.
HEALTH_MS, PAGE_MS, MEMORY_MB = 200.0, 1_000.0, 500.0
#: Seconds between two pieces of a slow client, and after which others follow those thrown out.
DRIP_S, AGAIN_S = 2.0, 6.0
#: Seconds between the arrivals of two clients.
ARRIVE_S = 0.005
#: What a client that does not read lets the kernel keep for it, bytes.
WINDOW = 4_096
HEALTH, PAGE, EXPORT = "/api/v1/mqtt/health/", "/admin/", "/admin/messages/export?format=jsonl"
#: Questions a second.
HEALTH_RATE, PAGE_RATE = 20.0, 4.0
MESSAGES = 20_000
STALE_AFTER_S = 600
_START = f"Host: {HOST}\r\n"


@dataclass(frozen=True, slots=True)
class Kind:
    """What clients of one kind send at once, and then every DRIP_S."""

    first: bytes
    drip: bytes


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one kind of clients."""

    answers: Mapping[str, Answers]
    #: The most resident memory of all processes of the web, MB.
    memory_mb: float


def kinds(cookie: str) -> dict[str, Kind]:
    """Return the kinds by name; `cookie` is that of somebody who is signed in."""
    form = f"POST /login HTTP/1.1\r\n{_START}Content-Length: 50000\r\n"
    fields = "Content-Type: application/x-www-form-urlencoded\r\n\r\n"
    export = f"GET {EXPORT} HTTP/1.1\r\n{_START}Cookie: {cookie}\r\n\r\n"
    return {
        "none": Kind(b"", b""),
        "head": Kind(f"GET / HTTP/1.1\r\n{_START}".encode(), b"X-Slow: 1\r\n"),
        "body": Kind((form + fields).encode(), b"a"),
        "silent": Kind(b"", b""),
        "unread": Kind(export.encode(), b""),
    }


class SlowClients(threading.Thread):
    """`count` clients of one kind."""

    def __init__(self, port: int, kind: Kind, count: int) -> None:
        super().__init__(name="slow clients", daemon=True)
        self._port, self._kind, self._count = port, kind, count
        self._over = threading.Event()
        self._poller = selectors.DefaultSelector()
        self._open: set[socket.socket] = set()

    def run(self) -> None:
        """Drip until `stop`."""
        next_drip = next_others = time.monotonic()
        while not self._over.is_set():
            if time.monotonic() >= next_others:
                next_others += AGAIN_S
                for _ in range(self._count - len(self._open)):
                    self._connect()
                    self._heed(ARRIVE_S)
            if time.monotonic() >= next_drip:
                next_drip += DRIP_S
                for client in list(self._open):
                    self._send(client, self._kind.drip)
            self._heed(max(0.0, min(next_drip, next_others) - time.monotonic()))
        for client in list(self._open):
            self._close(client)

    def stop(self) -> None:
        """Close all."""
        self._over.set()
        self.join()

    def _connect(self) -> None:
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        client.connect((HOST, self._port))
        client.setblocking(False)
        self._open.add(client)
        # Nobody reads: only the end of a connection is of interest.
        self._poller.register(client, selectors.EVENT_READ)
        self._send(client, self._kind.first)

    def _heed(self, seconds: float) -> None:
        for key, _ in self._poller.select(seconds):
            client = key.fileobj
            assert isinstance(client, socket.socket)
            self._poller.unregister(client)
            if _has_ended(client):
                self._close(client)

    def _send(self, client: socket.socket, data: bytes) -> None:
        try:
            client.send(data)
        except BlockingIOError:
            pass
        except OSError:
            self._close(client)
            return
        # Readable once: an answer is here. Look again whether it is the last.
        if client not in self._poller.get_map() and _has_ended(client):
            self._close(client)

    def _close(self, client: socket.socket) -> None:
        if client in self._poller.get_map():
            self._poller.unregister(client)
        self._open.discard(client)
        client.close()


def _has_ended(client: socket.socket) -> bool:
    """Whether the server has closed, or refused in one short answer."""
    try:
        begin = client.recv(WINDOW, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return not begin.startswith(b"HTTP/1.1 200")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `slow-clients` can be told."""
    add = parser.add_argument
    add("--clients", type=positive, default=500, metavar="N")
    add("--seconds", type=float, default=30.0, metavar="S", help="for each kind of client")
    add("--kind", choices=list(kinds("")), action="append", help="again for more; all by default")
    add("--database", choices=KINDS, default="sqlite")
    add("--json", action="store_true", help="print the measurement as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if every target was met."""
    limit = allow_many_files()
    if limit < 2 * arguments.clients + SPARE_FILES:
        problem: str | None = f"{arguments.clients} clients need more than {limit} open files"
    else:
        problem = why_not(arguments.database)
    if problem:
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    measured = _measure(arguments)
    missed = [text for name, found in measured.items() for text in _missed(name, found)]
    print(_as_json(measured, missed) if arguments.json else _as_text(measured, missed))
    return 1 if missed else 0


# --- the report


def _missed(name: str, found: Measured) -> Iterator[str]:
    for asked, answers in found.answers.items():
        limit = PAGE_MS if asked == "page" else HEALTH_MS
        if (slow := max(answers.took, default=float("inf"))) > limit:
            yield f"{name}: {asked} took {slow:.0f} ms, more than {limit:.0f}"
        if bad := answers.bad():
            yield f"{name}: {asked} was answered with status {bad}"
    if found.memory_mb > MEMORY_MB:
        yield f"{name}: {found.memory_mb:.0f} MB of memory, more than {MEMORY_MB:.0f}"


def _as_json(measured: Mapping[str, Measured], missed: list[str]) -> str:
    found = {
        name: {
            "took_ms": {asked: answers.took for asked, answers in each.answers.items()},
            "memory_mb": each.memory_mb,
        }
        for name, each in measured.items()
    }
    return json.dumps({"kinds": found, "missed": missed}, indent=2)


def _as_text(measured: Mapping[str, Measured], missed: list[str]) -> str:
    blocks = []
    for name, found in measured.items():
        rows = [Row(asked, asked, "{:.1f}") for asked in found.answers]
        columns: dict[str, dict[str, float | None]] = {
            title: {asked: quantile(each.took, share) for asked, each in found.answers.items()}
            for title, share in (("half", 0.5), ("99 %", 0.99), ("all", 1.0))
        }
        columns["answers"] = {asked: len(each.took) for asked, each in found.answers.items()}
        blocks.append(f"{name}; milliseconds, {found.memory_mb:.0f} MB\n{render(rows, columns)}\n")
    blocks += [f"note: {text}" for text in missed]
    return "\n".join(blocks)


# --- the measurement


def _measure(arguments: argparse.Namespace) -> dict[str, Measured]:
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name, ExitStack() as running:
        directory, open_ = Path(name), running.enter_context
        store = open_(opened(arguments.database, directory))
        browse_data.fill(store.engine, MESSAGES)
        _calm(store.engine)
        environment = {
            "PATH": os.environ["PATH"],
            "HAWSER_HOME": str(directory),
            "HAWSER_DATABASE_URL": store.url,
            "HAWSER_ENCRYPTION_KEYS": store.key,
            "HAWSER_HEARTBEAT_STALE_AFTER": str(STALE_AFTER_S),
        }
        visitor = open_(site(directory, environment))
        chosen = kinds(visitor.cookie)
        return {
            name: _beside(
                visitor,
                chosen[name],
                0 if name == "none" else arguments.clients,
                arguments.seconds,
            )
            for name in arguments.kind or list(chosen)
        }


def _calm(engine: Engine) -> None:
    """Make the health say `pass`: a worker has just reported, and nothing is enabled."""
    now = database_now()
    beat = {"boot_id": "bench", "version": "0", "started_at": now, "beat_at": now}
    state = {"hostname": "bench", "pid": 1, "state": WorkerState.RUNNING}
    with engine.begin() as transaction:
        transaction.execute(update(Connection).values(is_enabled=False))
        transaction.execute(insert(WorkerHeartbeat).values(worker_id="bench", **beat, **state))


def _beside(visitor: Visitor, kind: Kind, count: int, seconds: float) -> Measured:
    cookie = f"Cookie: {visitor.cookie}\r\n"
    probes = {
        "health": Probe(visitor.port, HEALTH, HEALTH_RATE),
        "livez": Probe(visitor.port, "/livez", HEALTH_RATE),
        "page": Probe(visitor.port, PAGE, PAGE_RATE, cookie),
    }
    with _slowly(visitor.port, kind, count), asking(*probes.values()):
        memory = _most(lambda: proc.rss_kb(visitor.pid) / 1000, seconds)
    return Measured({name: probe.answers for name, probe in probes.items()}, memory)


@contextmanager
def _slowly(port: int, kind: Kind, count: int) -> Iterator[None]:
    clients = SlowClients(port, kind, count)
    clients.start()
    try:
        yield
    finally:
        clients.stop()


def _most(measure: Callable[[], float], seconds: float) -> float:
    """Return the most of what is measured again and again for so many seconds."""
    over, most = time.monotonic() + seconds, 0.0
    while time.monotonic() < over:
        most = max(most, measure())
        time.sleep(DRIP_S / 10)
    return most
