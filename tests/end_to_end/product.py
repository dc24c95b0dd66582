"""The whole product as its user starts it: `manage.py run` in a data directory of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.process import HOST, Child, free_port, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent
#: supervisord stops its programs one after another, each within its stopwaitsecs.
STOP_TIMEOUT = 40.0  # seconds
HOSTNAME = "bfg_back"


class Product:
    """One data directory with free ports; `start` runs it, `stop` ends it by Ctrl-C."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.home = directory / "home"
        self.checkout = ROOT
        self.port = free_port()
        self.broker_port = free_port()
        self._directory = directory
        self._settings = settings
        self._runs = 0
        self.child: Child | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What a user's shell would hold."""
        return {
            "PATH": os.environ["PATH"],
            "HAWSER_HOME": str(self.home),
            "HAWSER_HOSTNAME": HOSTNAME,
            "HAWSER_DEMO_BROKER_PORT": str(self.broker_port),
            **self._settings,
        }

    def start(self, *arguments: str) -> Child:
        """Run `manage.py run` and return it at once."""
        self._runs += 1
        log = self._directory / f"run-{self._runs}.log"
        command = [
            sys.executable,
            str(self.checkout / "manage.py"),
            "run",
            "--port",
            str(self.port),
        ]
        # From elsewhere: the user need not stand in the checkout.
        self.child = Child([*command, *arguments], log, env=self.environment, cwd=self._directory)
        return self.child

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """End the run as Ctrl-C does and return its exit status. Raises TimeoutError."""
        assert self.child is not None
        self.child.send_signal(number)
        return self.child.wait(STOP_TIMEOUT)

    def manage(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of manage.py and return what it wrote."""
        return subprocess.run(
            [sys.executable, self.checkout / "manage.py", *arguments],
            env=self.environment,
            cwd=self._directory,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def import_connections(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Import records through manage.py; the file is named relative to where the user stands."""
        (self._directory / "records.json").write_text(json.dumps(records), encoding="utf-8")
        done = self.manage("connections", "import", "records.json")
        assert done.returncode == 0, done.stderr

    def get(self, path: str) -> tuple[int, str]:
        """Return status and body; status 0 when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{HOST}:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def health(self) -> tuple[int, dict[str, Any]]:
        """Return status and JSON of the health endpoint; an empty one when nobody answers."""
        status, body = self.get("/api/v1/mqtt/health/")
        return status, json.loads(body) if body else {}

    def connected(self) -> int:
        """Return how many connections the health endpoint calls connected."""
        _, body = self.health()
        return int(body.get("summary", {}).get("connected", 0))

    def wait_for_connected(self, count: int, seconds: float) -> None:
        """Wait until `count` connections are connected, without the rest of the verdict."""
        assert self.child is not None
        self.child.wait_for(lambda: self.connected() == count, seconds, f"{count} connected")

    def wait_for_status(self, wanted: int, seconds: float) -> None:
        """Wait for an HTTP status of the health endpoint."""
        wait_until(
            lambda: self.health()[0] == wanted, seconds, lambda: f"{wanted}, got {self.health()}"
        )

    def pid_of(self, program: str) -> int:
        """Return the process id that supervisord names, 0 if the program does not run."""
        return int(self.manage("supervisorctl", "pid", program).stdout or 0)


def children_of(pid: int) -> set[int]:
    """Return the process ids of all children, grandchildren and so on."""
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        try:
            text = Path(f"/proc/{parent}/task/{parent}/children").read_text(encoding="ascii")
        except FileNotFoundError:
            continue
        waiting += (numbers := [int(word) for word in text.split()])
        found.update(numbers)
    return found


def exists(pid: int) -> bool:
    """Return whether a process exists and is more than a zombie."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"
