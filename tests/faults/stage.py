"""The stage: one real worker with its neighbours, and records that meet the faults beside them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from sqlalchemy import Engine, delete, func, select
from sqlalchemy.orm import Session

from database.models import ConfigVersion, Connection, ConnectionEvent
from database.words import ConnectionState as State
from database.words import WorkerState
from tests.support.mosquitto import Mosquitto
from tests.support.nameserver import NameServer
from tests.support.process import Child
from tests.worker.service.worker import ROOT, WorkerProcess, add, change, events, status

#: Connections that no fault may touch.
NEIGHBOURS = 20
#: The module that is run, and its arguments.
WORKER = ("mqttworker",)
#: The password of every record: whoever finds it outside the database has found a leak.
CANARY = "canary-5e1f-password"
HEALTH = "/api/v1/mqtt/health/"
#: Seconds between two looks at it: each costs some milliseconds.
LOOK_INTERVAL = 0.1
#: Seconds in which health tells what has changed.
TOLD_WITHIN = 5.0


@dataclass(frozen=True, slots=True)
class Subject:
    """One record under fault."""

    stage: Stage = field(repr=False)
    name: str
    id: int

    def told(self) -> dict[str, Any]:
        """Return what health says of it."""
        return self.stage.health(self.name)["connections"][0]  # type: ignore[no-any-return]

    def wait(
        self, state: State | None, reason: str | None = None, seconds: float = TOLD_WITHIN
    ) -> dict[str, Any]:
        """Wait until health tells this state and this reason, where given; return its words."""

        def arrived() -> bool:
            said = self.told()
            return state in (None, said["state"]) and reason in (None, said["reason_code"])

        deadline = time.monotonic() + seconds
        while not arrived():
            words = f"{self.name} not {state or ''} {reason or ''} within {seconds:g} s"
            assert time.monotonic() < deadline, f"{words}: {self.told()}; {self.events()}"
            time.sleep(LOOK_INTERVAL)
        return self.told()

    def seconds_until(
        self, state: State | None, reason: str | None = None, seconds: float = TOLD_WITHIN
    ) -> float:
        """Return how long it takes until health tells this."""
        started = time.monotonic()
        self.wait(state, reason, seconds)
        return time.monotonic() - started

    def status(self) -> Any:
        """Return its row of facts."""
        return status(self.stage.engine, self.name)

    def events(self) -> list[tuple[str, str]]:
        """Return (state, reason code) of each event, oldest first."""
        return events(self.stage.engine, self.id)

    def last(self, reason: str) -> datetime:
        """Return when this reason last ended or began something. Raises AssertionError."""
        event = ConnectionEvent
        wanted = (event.connection_id == self.id, event.reason_code == reason)
        with self.stage.engine.connect() as transaction:
            at = transaction.scalar(select(func.max(event.id)).where(*wanted))
            moment = transaction.scalar(select(event.at).where(event.id == at))
        assert moment is not None, (reason, self.events())
        return moment

    def change(self, **columns: Any) -> None:
        """Edit the record as the web does."""
        revision = Connection.revision + 1
        change(self.stage.engine, self.name, **{"revision": revision, **columns})


class Stage:
    """One worker process, a mosquitto with its neighbours, the web, and one database."""

    def __init__(
        self, directory: Path, environment: Mapping[str, str], engine: Engine, app: Flask
    ) -> None:
        self.engine = engine
        self.worker = WorkerProcess(directory, environment, engine)
        self.neighbours = tuple(f"neighbour-{number}" for number in range(NEIGHBOURS))
        self.mosquitto: Mosquitto
        #: Where the worker looks names up; None where it cannot have a server of its own.
        self.names: NameServer | None = None
        self.no_names = ""
        self._log = directory / "worker.log"
        self.environment = environment
        self._app = app
        self._number = 0

    def start(
        self, mosquitto: Mosquitto, names: NameServer | str, program: Sequence[str] = WORKER
    ) -> None:
        """Start the worker and return when all are connected; `names` or why there are none."""
        self.mosquitto = mosquitto
        if isinstance(names, NameServer):
            self.names = names
        else:
            self.no_names = names
        for name in self.neighbours:
            add(self.engine, name, mosquitto.port, username="u", password=CANARY)
        prefix = self.names.prefix if self.names else []
        command = [*prefix, sys.executable, "-m", *program]
        self.worker.child = Child(command, self._log, env=self.environment, cwd=ROOT)
        self.worker.wait_until_worker(WorkerState.RUNNING)
        self.worker.wait_for_states(dict.fromkeys(self.neighbours, State.CONNECTED))

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self.worker.child.pid

    def add(self, port: int, *filters: str, **columns: Any) -> Subject:
        """Insert an enabled record, by default for MQTT 5 and with a login."""
        self._number += 1
        login = {"protocol": "5", "username": "u", "password": CANARY}
        name = columns.pop("name", f"subject-{self._number}")
        return Subject(self, name, add(self.engine, name, port, *filters, **{**login, **columns}))

    def remove(self, subjects: Sequence[Subject]) -> None:
        """Delete records, and return when the worker has let go of them."""
        with Session(self.engine) as session:
            session.execute(delete(Connection).where(Connection.id.in_([s.id for s in subjects])))
            session.query(ConfigVersion).update({"version": ConfigVersion.version + 1})
            session.commit()
        for subject in subjects:
            self.wait_for(partial(self._is_gone, subject), 10.0, f"{subject.name} to be gone")

    def _is_gone(self, subject: Subject) -> bool:
        # The worker forgets the events of records that are gone, too.
        found = subject.events()
        return not found or found[-1][0] == State.DISABLED

    def health(self, name: str | None = None) -> dict[str, Any]:
        """Return the whole answer of health, or that about one connection."""
        query = {} if name is None else {"connection": name}
        answer = self._app.test_client().get(HEALTH, query_string=query)
        body: dict[str, Any] = answer.get_json()
        return {**body, "code": answer.status_code}

    def wait_for(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for `condition`; fail at once if the worker ends first."""
        self.worker.child.wait_for(condition, seconds, what)

    def log(self) -> str:
        """Return what the worker has written so far."""
        return self.worker.child.output()
