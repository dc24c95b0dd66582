"""The workers of one database and one broker, and what may be done to them.

Each worker has a host name of its own, so that the broker's log tells them apart; half of
the records have a client id that all of them share. Nothing outside the workers ends a
frozen one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from database.session import make_engine
from database.words import WorkerState
from tests.faults.dual_judge import SHARED, Judge, audit, audited
from tests.support.mosquitto import Mosquitto
from tests.support.process import wait_until
from tests.worker.service.worker import WorkerProcess, add, heartbeat

#: Records with a client id for each worker, and with one for all.
OWN, COMMON = 5, 5
#: Worker and data directory. Two share one, and so the lock file by which a neighbour's
#: death is known at once; the third has to wait for the end of the lease.
WORKERS = {"a": "one", "b": "two", "c": "two"}
SETTLED_WITHIN = 20.0  # seconds


@dataclass
class Figures:
    """What a trial measured."""

    operations: int = 0
    takeovers: list[float] = field(default_factory=list)
    changes_of_owner: int = 0
    #: Writes of states and leases that the database noted.
    writes: int = 0
    wrong: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        times = sorted(self.takeovers) or [0.0]
        return (
            f"{self.operations} operations, {self.changes_of_owner} changes of owner, "
            f"takeover {times[len(times) // 2]:.1f} s median, {times[-1]:.1f} s at most "
            f"({len(self.takeovers)} measured); {self.writes} writes audited; "
            f"{len(self.wrong)} things wrong"
        )


class Trial:
    """The workers of one database and one broker, and what may be done to them."""

    def __init__(self, directory: Path, url: str, key: str, mosquitto: Mosquitto) -> None:
        self.figures = Figures()
        self.judge = Judge(mosquitto.log_file)
        self._engine = make_engine(url)
        self._directory = directory
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONUNBUFFERED": "1",
            "HAWSER_DATABASE_URL": url,
            "HAWSER_ENCRYPTION_KEYS": key,
        }
        self._running: dict[str, WorkerProcess] = {}
        #: When each frozen worker is to be thawed.
        self._thaw_at: dict[str, float] = {}
        #: When the owner was lost while somebody stood by.
        self._lost_at: float | None = None
        audit(self._engine)
        for number in range(OWN):
            add(self._engine, f"own_{number}", mosquitto.port)
        for number in range(COMMON):
            add(self._engine, f"common_{number}", mosquitto.port, client_id=f"{SHARED}{number}")

    # --- who is there

    @property
    def absent(self) -> list[str]:
        """Workers that do not run."""
        return [name for name in WORKERS if name not in self._running]

    @property
    def able(self) -> list[str]:
        """Workers that run and are not frozen."""
        return [name for name in self._running if name not in self._thaw_at]

    @property
    def owner(self) -> str | None:
        """The worker that has the connections, if it is able."""
        return self.judge.owner if self.judge.owner in self.able else None

    # --- operations

    def start(self, name: str) -> None:
        """Start a worker, and wait until it runs the connections or stands by."""
        home = self._directory / WORKERS[name]
        home.mkdir(exist_ok=True)
        names = {"HAWSER_HOME": str(home), "HAWSER_HOSTNAME": name, "NAME": name}
        worker = WorkerProcess(self._directory, {**self._environment, **names}, self._engine)
        self.judge.unable.discard(name)
        worker.start()
        self._running[name] = worker
        self.figures.operations += 1
        ready = {WorkerState.RUNNING, WorkerState.STANDBY}
        self._wait(lambda: self._state(name) in ready or name not in self.able, f"{name} ready")

    def kill(self, name: str) -> None:
        """Kill a worker, frozen or not."""
        self._note_loss(name)
        self.judge.unable.add(name)
        self._running.pop(name).child.kill()
        self._thaw_at.pop(name, None)
        self.figures.operations += 1

    def stop(self, name: str) -> None:
        """Let a worker stop cleanly."""
        self._note_loss(name)
        code = self._running.pop(name).child.stop()
        if code not in (0, 1):
            self.figures.wrong.append(f"{name} ended with {code} when it was stopped")
        self.judge.read()
        self.judge.unable.add(name)
        self.figures.operations += 1

    def freeze(self, name: str, seconds: float) -> None:
        """Stop a worker as a whole; `settle` and `pause` thaw it when it is time."""
        self._note_loss(name)
        self._running[name].child.freeze()
        self._thaw_at[name] = time.monotonic() + seconds
        # What it sent before has arrived by then, and nobody else may connect so soon.
        time.sleep(0.05)
        self.judge.read()
        self.judge.unable.add(name)
        self.figures.operations += 1

    def pause(self, seconds: float) -> None:
        """Let time pass."""
        until = time.monotonic() + seconds
        self._wait(lambda: time.monotonic() >= until, "time")

    def settle(self) -> None:
        """Wait until a worker that is able has every connection."""
        if self.able:
            self._wait(self._is_settled, "all connections at one worker")

    def end(self) -> Figures:
        """Thaw and stop everybody, and return the figures."""
        self._wait(lambda: not self._thaw_at, "all thawed")
        self.settle()
        for name in self.able:
            self.stop(name)
        self.judge.read()
        self.figures.changes_of_owner = self.judge.changes_of_owner
        self.figures.wrong += self.judge.verdict()
        self.figures.writes, wrong_writes = audited(self._engine)
        self.figures.wrong += wrong_writes
        self.clean_up()
        return self.figures

    def clean_up(self) -> None:
        """End what still runs."""
        for worker in self._running.values():
            worker.child.kill()
        self._engine.dispose()

    # --- inside

    def _is_settled(self) -> bool:
        owner = self.owner
        if owner is None or owner in self.judge.unable:
            return not self.able
        return len(self.judge.sessions.get(owner, ())) == OWN and len(self.judge.shared) == COMMON

    def _note_loss(self, name: str) -> None:
        """Remember when the owner goes, if somebody is ready to take over.

        A second fault before the end of a takeover makes it something else to measure.
        """
        self.judge.read()
        others = [other for other in self.able if other != name]
        is_ready = any(self._state(other) == WorkerState.STANDBY for other in others)
        self._lost_at = time.monotonic() if name == self.owner and is_ready else None

    def _measure(self) -> None:
        if self._lost_at is not None and self.owner and self._is_settled():
            self.figures.takeovers.append(time.monotonic() - self._lost_at)
            self._lost_at = None

    def _state(self, name: str) -> object:
        worker = self._running.get(name)
        return heartbeat(self._engine, worker.child.pid).get("state") if worker else None

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        def arrived() -> bool:
            self._thaw_who_is_due()
            self._bury_who_ended()
            self.judge.read()
            self._measure()
            return condition()

        wait_until(arrived, SETTLED_WITHIN, lambda: f"{what}: {self._running}, {self.judge.wrong}")

    def _thaw_who_is_due(self) -> None:
        for name, due in list(self._thaw_at.items()):
            if time.monotonic() >= due:
                self.judge.read()
                self.judge.unable.discard(name)
                if name == self.judge.owner:
                    # Nobody has taken over; if nobody had to, that was no takeover.
                    self._lost_at = None
                self._running[name].child.thaw()
                del self._thaw_at[name]
                self.figures.operations += 1

    def _bury_who_ended(self) -> None:
        for name, worker in list(self._running.items()):
            code = worker.child.returncode
            if code is not None:
                del self._running[name]
                self._thaw_at.pop(name, None)
                self.judge.read()
                self.judge.unable.add(name)
                last = worker.child.output()[-3000:]
                # The stacks of threads that run on are shown without a lock: that may crash.
                crashed_while_ending = code == -signal.SIGSEGV and "Timeout (" in last
                if code != 1 and not crashed_while_ending:
                    self.figures.wrong.append(f"{name} ended with {code} by itself: {last}")
