"""The processes that connect: the worker and what it is compared with."""

from __future__ import annotations

import math
import os
import re
import sys
from abc import ABC, abstractmethod
from pathlib import Path

from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from bench import certificates
from bench.mosquitto import executable
from bench.ports import HOST, free_port
from bench.processes import Child
from bench.references.common import KEEPALIVE
from bench.references.paho_threads import PER_PROCESS
from database import encryption, migrate
from database.models import Connection, ConnectionEvent, ConnectionStatus, WorkerHeartbeat
from database.session import make_engine
from database.words import WAITING_STATES, ConnectionState, WorkerState

ROOT = Path(__file__).parent.parent
START_TIMEOUT = 30.0  # seconds


class Contestant(ABC):
    """One way to hold `count` connections to a broker on `port`."""

    name: str
    #: The broker listens with TLS, and `port` is that listener's.
    over_tls = False

    @abstractmethod
    def start(self, directory: Path, port: int, count: int) -> Child:
        """Start the process."""

    @abstractmethod
    def wait_until_idle(self, child: Child) -> None:
        """Return once a process that has nothing to connect has started up."""

    def why_not(self, count: int) -> str | None:
        """Say why this contestant cannot take part, None if it can."""
        del count
        return None

    def hub_lag_ms(self) -> float | None:
        """Return the longest stall that the process reports now, None if it measures none."""
        return None

    def connect_s(self, child: Child) -> float | None:
        """Return the seconds from the first try to the last CONNACK, by the process's own clock.

        None where it does not tell.
        """
        del child
        return None

    def failed_tries(self) -> int | None:
        """Return how many tries did not become a session so far, None where it does not tell."""
        return None

    def finish(self) -> None:  # noqa: B027 - most have nothing to give back
        """Give back what `start` opened besides the process."""


class Reference(Contestant):
    """A module of `bench.references`, run in as many processes as it needs."""

    def __init__(self, name: str, module: str, processes: int = 1) -> None:
        self.name = name
        self._module = module
        self._processes = processes

    def start(self, directory: Path, port: int, count: int) -> Child:
        command = [sys.executable, "-m", f"bench.references.{self._module}"]
        command += ["--port", str(port), "--connections", str(count)]
        command += ["--processes", str(self._processes)]
        return Child(command, directory / "log", cwd=ROOT)

    def wait_until_idle(self, child: Child) -> None:
        child.wait_for(
            lambda: child.output().count("ready") == self._processes, START_TIMEOUT, "ready"
        )

    def connect_s(self, child: Child) -> float | None:
        told = re.findall(r"^connected in (\S+) s$", child.output(), re.MULTILINE)
        return float(told[0]) if len(told) == self._processes == 1 else None


class Bridges(Contestant):
    """One mosquitto with a bridge a connection; its notifications are will and online."""

    name = "mosquitto bridges"
    #: Beyond this mosquitto spends minutes on its bridges.
    most = 1000

    def why_not(self, count: int) -> str | None:
        if executable() is None:
            return "mosquitto is not installed"
        if count > self.most:
            return f"left out above {self.most:,} connections"
        return None

    def start(self, directory: Path, port: int, count: int) -> Child:
        path = directory / "bridges.conf"
        own = f"listener {free_port()} {HOST}\nallow_anonymous true\nlog_dest stderr\n"
        user = "user root\n" if os.geteuid() == 0 else ""
        bridges = "".join(_bridge(index, port) for index in range(count))
        path.write_text(own + user + bridges, encoding="ascii")
        program = executable()
        assert program is not None
        return Child([program, "-c", path], directory / "log")

    def wait_until_idle(self, child: Child) -> None:
        child.wait_for_output(" running", START_TIMEOUT)


def _bridge(index: int, port: int) -> str:
    return f"""
connection site_{index}
address {HOST}:{port}
remote_clientid site_{index}_bridge
bridge_protocol_version mqttv50
cleansession true
keepalive_interval {KEEPALIVE}
notification_topic site_{index}/backend/status
try_private false
topic site_{index}/none out 0
"""


class Worker(Contestant):
    """The product's worker on an SQLite database with `count` enabled records."""

    name = "worker"

    def __init__(self) -> None:
        self._engine: Engine | None = None
        self._count = 0
        #: What the process was started with; the web needs the same.
        self.environment: dict[str, str] = {}

    @property
    def engine(self) -> Engine:
        """The database of the process that was started."""
        assert self._engine is not None
        return self._engine

    def start(self, directory: Path, port: int, count: int) -> Child:
        self.prepare(directory, port, count)
        return self.run(directory)

    def run(self, directory: Path) -> Child:
        """Start the process on what was prepared."""
        command = [sys.executable, "-m", "mqttworker"]
        return Child(command, directory / "log", cwd=ROOT, env=self.environment)

    def prepare(self, directory: Path, port: int, count: int) -> None:
        """Make the database and the environment of the process."""
        self._count = count
        key = encryption.new_key()
        encryption.configure([key])
        url = f"sqlite:///{directory / 'hawser.db'}"
        self._engine = make_engine(url)
        migrate.upgrade(self._engine)
        with Session(self._engine) as session:
            session.add_all(self.record(index, port) for index in range(count))
            session.commit()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HAWSER_HOME": str(directory),
            "HAWSER_DATABASE_URL": url,
            "HAWSER_ENCRYPTION_KEYS": key,
            "HAWSER_HOSTNAME": "worker",
        }

    def record(self, index: int, port: int) -> Connection:
        """Return one of the records."""
        name, site = f"site {index}", f"site_{index}"
        return Connection(name=name, site=site, host=HOST, port=port, keepalive_s=KEEPALIVE)

    def wait_until_idle(self, child: Child) -> None:
        running = select(WorkerHeartbeat).where(WorkerHeartbeat.state == WorkerState.RUNNING)

        def runs() -> bool:
            assert self._engine is not None
            with self._engine.connect() as transaction:
                return transaction.execute(running).first() is not None

        child.wait_for(runs, START_TIMEOUT, "a heartbeat that says running")

    def hub_lag_ms(self) -> float | None:
        assert self._engine is not None
        with self._engine.connect() as transaction:
            return transaction.execute(select(func.max(WorkerHeartbeat.hub_lag_ms))).scalar()

    def connect_s(self, child: Child) -> float | None:
        child.wait_for(self._has_written, START_TIMEOUT, "the state of every connection")
        assert self._engine is not None
        first = select(func.min(ConnectionEvent.at))
        last = select(func.max(ConnectionStatus.connected_since))
        with self._engine.connect() as transaction:
            began, ended = transaction.scalar(first), transaction.scalar(last)
        return (ended - began).total_seconds() if began and ended else None

    def _has_written(self) -> bool:
        assert self._engine is not None
        written = select(func.count(ConnectionStatus.connected_since))
        with self._engine.connect() as transaction:
            return transaction.scalar(written) == self._count

    def failed_tries(self) -> int | None:
        assert self._engine is not None
        failed = select(func.count(ConnectionEvent.id)).where(
            ConnectionEvent.previous_state == ConnectionState.CONNECTING,
            ConnectionEvent.state.in_(WAITING_STATES),
        )
        with self._engine.connect() as transaction:
            return transaction.scalar(failed)

    def finish(self) -> None:
        if self._engine is not None:
            self._engine.dispose()
            self._engine = None


class WorkerOverTLS(Worker):
    """The same over TLS 1.3, the broker's certificate verified."""

    name = "worker over TLS"
    over_tls = True

    def prepare(self, directory: Path, port: int, count: int) -> None:
        self._ca = (directory / certificates.FILE).read_text(encoding="ascii")
        super().prepare(directory, port, count)

    def record(self, index: int, port: int) -> Connection:
        made = super().record(index, port)
        made.tls, made.tls_ca_pem = True, self._ca
        return made


def all_contestants(count: int, *, tls: bool = False) -> list[Contestant]:
    """Return the worker and its references for `count` connections, the worker first.

    With `tls` the worker takes part twice, the second time over TLS.
    """
    paho_processes = math.ceil(count / PER_PROCESS)
    return [
        Worker(),
        *([WorkerOverTLS()] if tls else []),
        Reference("bare gmqtt", "gmqtt_asyncio"),
        Reference("paho threads", "paho_threads", paho_processes),
        Bridges(),
    ]
