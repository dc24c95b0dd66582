"""Who was connected, and who acted, by the broker's log and the database's own triggers.

A frozen process keeps its sockets, so at the broker two workers may have sessions at the
same time. What must never happen is that both act: the judge knows who is frozen or dead
and calls it wrong when
- a worker connects while another one has sessions that it could use;
- the broker receives anything from a worker after another one has connected;
- a client id is taken over more often than the connections changed hands.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from sqlalchemy import Engine, text

#: Client ids that all workers share begin so; all others end with `_` and the worker's name.
SHARED = "shared_"
_CONNECTED = re.compile(r"New client connected from \S+ as (\S+) \(p\d")
_RECEIVED = re.compile(r"Received ([A-Z]+) from (\S+)")
_TAKEN_OVER = re.compile(r"Client (\S+) already connected, closing old connection")
_ENDED = re.compile(r": Client (\S+) (?:closed its connection|disconnected|has exceeded timeout)")
_BROKEN = re.compile(r"Socket error on client (\S+), disconnecting")


class Judge:
    """Follows the broker's log; told of each freeze and death as it happens."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._position = 0
        self._rest = ""
        #: Client ids of the sessions that each worker has at the broker, shared ones left out.
        self.sessions: dict[str, set[str]] = {}
        self.shared: set[str] = set()
        #: Workers that cannot act: frozen or dead.
        self.unable: set[str] = set()
        #: The worker that connected last.
        self.owner: str | None = None
        self.changes_of_owner = 0
        self.takeovers: Counter[str] = Counter()
        self.wrong: list[str] = []

    def read(self) -> None:
        """Take in what was logged since the last look."""
        with self.log.open(encoding="utf-8", errors="replace") as log:
            log.seek(self._position)
            data = log.read()
            self._position = log.tell()
        *lines, self._rest = (self._rest + data).split("\n")
        for line in lines:
            self._take(line)

    def verdict(self) -> list[str]:
        """Return all that was wrong."""
        too_often = [
            f"{client_id} was taken over {count} times in {self.changes_of_owner} changes"
            for client_id, count in self.takeovers.items()
            if count >= self.changes_of_owner
        ]
        return self.wrong + too_often

    def _take(self, line: str) -> None:
        if match := _CONNECTED.search(line):
            self._connected(match[1], line)
        elif match := _RECEIVED.search(line):
            worker = _worker(match[2])
            if worker not in (None, self.owner):
                self.wrong.append(f"{worker} acts, but {self.owner} has connected: {line}")
        elif match := _TAKEN_OVER.search(line):
            self.takeovers[match[1]] += 1
        elif match := _ENDED.search(line) or _BROKEN.search(line):
            self.shared.discard(match[1])
            self.sessions.get(_worker(match[1]) or "", set()).discard(match[1])

    def _connected(self, client_id: str, line: str) -> None:
        worker = _worker(client_id)
        if worker is None:
            self.shared.add(client_id)
            return
        if worker != self.owner:
            self._owner_changes(worker, line)
        self.sessions.setdefault(worker, set()).add(client_id)

    def _owner_changes(self, worker: str, line: str) -> None:
        self.owner = worker
        self.changes_of_owner += 1
        for other, open_sessions in self.sessions.items():
            if other != worker and open_sessions and other not in self.unable:
                self.wrong.append(f"{other} still has {len(open_sessions)} sessions: {line}")


def _worker(client_id: str) -> str | None:
    return None if client_id.startswith(SHARED) else client_id.rpartition("_")[2]


AUDIT = (
    "CREATE TABLE audit (what TEXT, expected TEXT, found TEXT)",
    *(
        f"""CREATE TRIGGER audit_{name} AFTER {when} ON connection_status BEGIN
            INSERT INTO audit SELECT 'state', boot_id, NEW.boot_id FROM worker_lease; END"""
        for name, when in (("new", "INSERT"), ("changed", "UPDATE OF boot_id"))
    ),
    """CREATE TRIGGER audit_lease AFTER UPDATE ON worker_lease BEGIN
       INSERT INTO audit VALUES (
           'epoch', OLD.epoch + (NEW.boot_id <> OLD.boot_id), NEW.epoch); END""",
)


def audit(engine: Engine) -> None:
    """Let the database itself (SQLite) note who holds the lease at every write."""
    with engine.begin() as transaction:
        for statement in AUDIT:
            transaction.execute(text(statement))


def audited(engine: Engine) -> tuple[int, list[str]]:
    """Return how many writes were noted, and those that were wrong."""
    with engine.connect() as transaction:
        rows = transaction.execute(text("SELECT what, expected, found FROM audit")).all()
    wrong = [f"{row.what} by {row.found}, not {row.expected}" for row in rows if row[1] != row[2]]
    return len(rows), wrong
