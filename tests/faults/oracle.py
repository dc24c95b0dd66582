"""What must be so around every fault, whatever it is.

`with Oracle(stage) as oracle:` watches while records that `oracle.add` inserted meet their
faults, and says at the end what was not as it should be:

- the worker is the same process;
- its neighbours have not been dropped, by the broker's word and by the worker's, and no
  greenlet had to wait longer than a second;
- the heartbeat was never older than five seconds;
- health was never wrong about the neighbours (`Subject.wait` checks what it says of the faults);
- no password was told to anybody, and no stack trace was logged;
- the log has one line a change of state, and little besides;
- once the records are gone, so are their sockets and their memory.
"""

from __future__ import annotations

import json
import re
import threading
from collections import Counter
from pathlib import Path
from typing import Any, Self

from bench import proc
from database.words import ConnectionState as State
from tests.faults.figures import LONG
from tests.faults.stage import CANARY, Stage, Subject
from tests.support.process import wait_until

#: Seconds between two looks; the heartbeat that they see is written every two.
LOOK_INTERVAL = 0.5
#: Longest time that the hub may keep a greenlet waiting, milliseconds.
MOST_LAG = 1000.0
OLDEST_BEAT = 5.0  # seconds
#: Growth that is no leak, beside a twentieth: caches, threads, and dead sessions that wait
#: for the collector, 18 KB each.
SPARE_KB, SPARE_FILES = 65_536 if LONG else 8_192, 8
#: How often one sentence may be logged, by one task, that belongs to no change of state.
MOST_REPEATS = 5
#: Look-ups that hang end only when the resolver gives up, seconds.
SETTLE_TIMEOUT = 40.0 if LONG else 10.0


class Oracle:
    """Watches the stage while a fault lasts."""

    spare_files = SPARE_FILES

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.subjects: list[Subject] = []
        #: The worst that was seen.
        self.most_lag_ms = 0.0
        self.oldest_beat_s = 0.0
        self._wrong: list[str] = []
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)

    def add(self, port: int, *filters: str, **columns: Any) -> Subject:
        """Insert a record that will meet a fault; it is deleted at the end."""
        self.subjects.append(self.stage.add(port, *filters, **columns))
        return self.subjects[-1]

    def __enter__(self) -> Self:
        assert self.stage.worker.child.running, "the worker has ended in an earlier test"
        self._log_start = len(self.stage.log())
        self._broker_log_start = len(self.stage.mosquitto.log())
        self._events_before = self._neighbours_events()
        self._files, self._rss_kb = open_files(self.stage.pid), proc.rss_kb(self.stage.pid)
        self._watcher.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        try:
            self._end()
        finally:
            self._over.set()
            self._watcher.join()
        if error is None:
            assert not self._wrong, "\n".join(dict.fromkeys(self._wrong))

    def _end(self) -> None:
        if not self.stage.worker.child.running:
            self._wrong.append(f"the worker ended: {self.stage.log()[self._log_start :]}")
            return
        self._check_neighbours()
        self._check_log()
        self.stage.remove(self.subjects)
        self._check_leaks()

    # --- while it lasts

    def _watch(self) -> None:
        while not self._over.wait(LOOK_INTERVAL):
            try:
                self._look(self.stage.health())
            except Exception as error:  # noqa: BLE001 - a watcher that dies sees nothing
                self._wrong.append(f"health could not be read: {error!r}")

    def _look(self, body: dict[str, Any]) -> None:
        worker = body["worker"]
        if (worker["pid"], worker["state"], body["code"]) != (self.stage.pid, "running", 200):
            self._wrong.append(f"health says {body['code']} {body['output']} of {worker}")
            return
        self.most_lag_ms = max(self.most_lag_ms, worker["hub_lag_ms"])
        self.oldest_beat_s = max(self.oldest_beat_s, worker["heartbeat_age_s"])
        if self.most_lag_ms > MOST_LAG:
            self._wrong.append(f"the hub was late by {self.most_lag_ms} ms")
        if self.oldest_beat_s > OLDEST_BEAT:
            self._wrong.append(f"the heartbeat was {self.oldest_beat_s} s old")
        for said in body["connections"]:
            if said["name"] in self.stage.neighbours and said["state"] != State.CONNECTED:
                self._wrong.append(f"health says of a neighbour: {said}")
        if CANARY in json.dumps(body):
            self._wrong.append("health tells a password")

    # --- at the end

    def _check_neighbours(self) -> None:
        events = self._neighbours_events()
        if events != self._events_before:
            self._wrong.append(f"neighbours changed: {events}")
        told = self.stage.mosquitto.log()[self._broker_log_start :]
        gone = rf"Client {self.stage.neighbours[0][:-1]}\d+_\S+ .*"
        self._wrong += [f"the broker says: {line}" for line in re.findall(gone, told)]

    def _neighbours_events(self) -> dict[str, int]:
        known = {item["name"]: item["id"] for item in self.stage.health()["connections"]}
        names = self.stage.neighbours
        return {name: len(Subject(self.stage, name, known[name]).events()) for name in names}

    def _check_log(self) -> None:
        told = self.stage.log()[self._log_start :]
        for word in (CANARY, "Traceback"):
            if word in told:
                self._wrong.append(f"{word} in the log: {told}")
        lines = Counter(line.get("connection_id") for line in _lines(told))
        for subject in self.subjects:
            if lines[subject.id] > len(subject.events()):
                self._wrong.append(f"{subject.name}: {lines[subject.id]} lines, {subject.events()}")
        others = Counter(
            (line["event"], line.get("task"))
            for line in _lines(told)
            if "connection_id" not in line
        )
        self._wrong += [f"{n} times: {what}" for (what, _), n in others.items() if n > MOST_REPEATS]

    def _check_leaks(self) -> None:
        pid = self.stage.pid
        files, rss_kb = self._files * 1.05 + self.spare_files, self._rss_kb * 1.05 + SPARE_KB
        words = f"files {self._files}, {self._rss_kb} KB before the fault"
        try:
            wait_until(
                lambda: open_files(pid) <= files and proc.rss_kb(pid) <= rss_kb,
                SETTLE_TIMEOUT,
                lambda: f"{words}; now {open_files(pid)}, {proc.rss_kb(pid)} KB",
            )
        except TimeoutError as error:
            self._wrong.append(f"a leak: {error}")


def open_files(pid: int) -> int:
    """Return how many file descriptors a process has open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _lines(text: str) -> list[dict[str, Any]]:
    """Return the log's lines; one that is no JSON counts as a sentence of its own."""
    return [
        json.loads(line) if line.startswith("{") else {"event": line} for line in text.splitlines()
    ]
