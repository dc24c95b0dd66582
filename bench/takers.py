"""Who takes the messages of `bench ingest`: the worker, and what it is compared with."""

from __future__ import annotations

import shutil
import signal
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench import proc
from bench.contestants import ROOT
from bench.intake import SESSION_EXPIRY, Intake, Watch, add_record
from bench.mosquitto import Mosquitto
from bench.ports import HOST
from bench.processes import Child
from bench.stores import Store

READY_TIMEOUT = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Setup:
    """What a taker is given: it holds sessions `bench-0` and up, each on `load/<number>/#`."""

    directory: Path
    broker: Mosquitto
    connections: int
    messages: int
    store: Store

    def subscribed(self) -> bool:
        """Whether the broker has heard of every Topic Filter."""
        log = self.broker.log()
        return all(f" {client(i)} 1 load/{i}/#" in log for i in range(self.connections))


def client(index: int) -> str:
    """Return a Client Identifier."""
    return f"bench-{index}"


class Taker(ABC):
    """One way to take `messages` messages over `connections` connections."""

    name: str
    #: Whether it stores them, or just reads.
    stores = True

    @abstractmethod
    def start(self, setup: Setup) -> None:
        """Start, and return when every session is subscribed."""

    @abstractmethod
    def taken(self) -> int:
        """Return about how many messages are taken: exact when all are."""

    @abstractmethod
    def usage(self) -> Mapping[str, float]:
        """Return what it used so far: `cpu_s`, `peak_mb` and `hub_lag_ms` where it is known."""

    @abstractmethod
    def stop(self) -> None:
        """End in an orderly way: fine if it has not started."""


class WorkerTaker(Taker):
    """The product."""

    name = "worker"

    def start(self, setup: Setup) -> None:
        self._store = setup.store
        for index in range(setup.connections):
            name = client(index)
            add_record(setup.store, name, setup.broker.port, f"load/{index}/#")
        self._intake = Intake(setup.directory, setup.store)
        self._intake.start()
        self._intake.wait_for_connected(setup.connections)
        self._cpu_s = proc.cpu_seconds(self._intake.child.pid)
        self._watch = Watch(self._intake)
        self._watch.__enter__()

    def taken(self) -> int:
        _fail_if_over([self._intake.child])
        return self._store.newest()

    def usage(self) -> Mapping[str, float]:
        cpu_s = proc.cpu_seconds(self._intake.child.pid) - self._cpu_s
        self._watch.wait_for_beat()
        return {
            "cpu_s": cpu_s,
            "peak_mb": self._intake.peak_kb / 1024,
            "hub_lag_ms": self._watch.hub_lag_ms,
        }

    def stop(self) -> None:
        if hasattr(self, "_watch"):
            self._watch.__exit__()
        if hasattr(self, "_intake"):
            self._intake.child.stop()


class PahoTaker(Taker):
    """paho with a writer that stores in batches."""

    name = "paho"

    def start(self, setup: Setup) -> None:
        self._store = setup.store
        command = [sys.executable, "-m", "bench.references.paho_writer"]
        command += ["--port", str(setup.broker.port), "--connections", str(setup.connections)]
        command += ["--database", setup.store.url]
        self._child = Child(command, setup.directory / "paho.log", cwd=ROOT)
        self._child.wait_for_output("ready", READY_TIMEOUT)
        self._cpu_s = proc.cpu_seconds(self._child.pid)

    def taken(self) -> int:
        _fail_if_over([self._child])
        return self._store.newest()

    def usage(self) -> Mapping[str, float]:
        cpu_s = proc.cpu_seconds(self._child.pid) - self._cpu_s
        return {"cpu_s": cpu_s, "peak_mb": proc.peak_kb(self._child.pid) / 1024}

    def stop(self) -> None:
        if hasattr(self, "_child"):
            self._child.stop()


class SubTaker(Taker):
    """`mosquitto_sub`, one a connection: it stores nothing, so nothing is faster."""

    name = "mosquitto_sub"
    stores = False

    def __init__(self) -> None:
        self._children: list[tuple[Child, int]] = []

    def start(self, setup: Setup) -> None:
        program = shutil.which("mosquitto_sub")
        assert program is not None
        for index in range(setup.connections):
            share = len(range(index, setup.messages, setup.connections))
            command = [program, "-h", HOST, "-p", str(setup.broker.port), "-V", "mqttv5"]
            command += ["-i", client(index), "-q", "1", "-t", f"load/{index}/#"]
            command += ["-c", "-x", str(SESSION_EXPIRY), "-C", str(share)]
            self._children.append((Child(command, Path("/dev/null")), share))
        first, _ = self._children[0]
        first.wait_for(setup.subscribed, READY_TIMEOUT, "every subscription")

    def taken(self) -> int:
        over = [child for child, _ in self._children if not child.running]
        if failed := [child.returncode for child in over if child.returncode]:
            msg = f"mosquitto_sub ended with {failed}"
            raise ChildProcessError(msg)
        return sum(share for child, share in self._children if not child.running)

    def usage(self) -> Mapping[str, float]:
        return {}

    def stop(self) -> None:
        for child, _ in self._children:
            child.stop(signal.SIGKILL)


def _fail_if_over(children: list[Child]) -> None:
    for child in children:
        if not child.running:
            msg = f"{child} ended with {child.returncode}\n{child.output()[-2000:]}"
            raise ChildProcessError(msg)
