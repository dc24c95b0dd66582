"""A private PostgreSQL server in a temporary directory."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
from sqlalchemy import URL

from bench.ports import HOST, free_port
from bench.processes import Child

START_TIMEOUT = 30.0  # seconds
#: The owner of everything, trusted on the loopback address.
ROLE = "hawser"
#: Roles that are not trusted; who needs one makes it. They stand before the lines of initdb.
RULES = """\
host all with_password 127.0.0.1/32 scram-sha-256
host all with_old_password 127.0.0.1/32 password
host all rejected 127.0.0.1/32 reject
hostssl all with_tls 127.0.0.1/32 trust
host all with_tls 127.0.0.1/32 reject
"""
#: Unprivileged account that runs the server when we are root.
SERVER_USER = "postgres"


def executable(name: str) -> Path | None:
    """Return the path of a server program, the newest version that Debian installed."""
    if found := shutil.which(name):
        return Path(found)
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return installed[-1] if installed else None


class PostgreSQL:
    """One server, made by `initdb`, with fsync on; databases come from `create`."""

    def __init__(self) -> None:
        self.port = free_port()
        self._user = SERVER_USER if os.geteuid() == 0 else None
        # Not below the directory of a test or a run: that one is closed to the server's user.
        self._directory = Path(tempfile.mkdtemp(prefix="hawser-postgresql-"))
        self._data = self._directory / "data"
        self._numbers = itertools.count(1)
        self._child: Child | None = None
        if self._user:
            shutil.chown(self._directory, self._user, self._user)
        self._initialise()

    def start(self) -> None:
        """Start the server and return once it answers queries."""
        program = executable("postgres")
        assert program is not None
        command: list[str | Path] = [program, "-D", self._data, "-p", str(self.port)]
        command += ["-k", str(self._directory), "-h", HOST]
        log = self._directory / "log"
        self._child = Child(command, log, cwd=self._directory, user=self._user)
        self._child.wait_for(self._answers, START_TIMEOUT, "an answer from PostgreSQL")

    def become_standby(self) -> None:
        """Let the next `start` replay what a primary wrote: this one never has a primary."""
        (self._data / "standby.signal").touch()

    def stop(self) -> None:
        """End the server, open connections or not, in an orderly way."""
        self._end(signal.SIGINT)

    def stop_immediately(self) -> None:
        """End the server without a shutdown checkpoint, as a crash does."""
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        """Stop the listening process: new connections hang."""
        assert self._child is not None
        self._child.freeze()

    def thaw(self) -> None:
        """Let a frozen server go on."""
        assert self._child is not None
        self._child.thaw()

    def remove(self) -> None:
        """Stop the server and delete its files."""
        self.stop()
        shutil.rmtree(self._directory)

    def create(self, template: str = "template0", options: str = "") -> str:
        """Return the name of a new database, a copy of `template`."""
        name = f"hawser_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} {options}")
        return name

    def execute(self, statement: str) -> None:
        """Run one statement as the owner of everything."""
        with self._connect() as connection:
            connection.execute(statement.encode())

    def drop(self, name: str) -> None:
        """Delete a database, open connections or not."""
        self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def url(self, name: str, role: str = ROLE, password: str | None = None) -> str:
        """Return the address of database `name` for SQLAlchemy."""
        address = URL.create("postgresql+psycopg", role, password, HOST, self.port, name)
        return address.render_as_string(hide_password=False)

    def _initialise(self) -> None:
        program = executable("initdb")
        assert program is not None
        options = f"-U {ROLE} -A trust -E UTF8 --locale=C.UTF-8 --no-sync --no-instructions"
        subprocess.run(
            [program, "-D", self._data, *options.split()],
            check=True,
            capture_output=True,
            cwd=self._directory,
            user=self._user,
            group=self._user,
            extra_groups=[] if self._user else None,
        )
        rules = self._data / "pg_hba.conf"
        rules.write_text(RULES + rules.read_text())

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=HOST, port=self.port, user=ROLE, dbname="postgres", autocommit=True
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def _end(self, number: signal.Signals) -> None:
        if self._child is not None:
            self._child.stop(number)
            self._child = None
