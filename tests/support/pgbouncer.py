"""A private PgBouncer in front of a private PostgreSQL."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Self

import psycopg
from sqlalchemy import URL

from bench.ports import HOST, free_port
from bench.postgresql import ROLE, SERVER_USER, PostgreSQL
from bench.processes import Child

START_TIMEOUT = 10.0  # seconds
#: As Debian's package has it, but for the paths and the rule of who may come.
CONFIGURATION = """\
[databases]
* = host={host} port={server_port}
[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {directory}/users
pool_mode = {pool_mode}
default_pool_size = 60
"""


def executable() -> str | None:
    """Return the path of the program; Debian installs it where only root looks."""
    return shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")


class PgBouncer:
    """One pooler; `pool_mode` is session, transaction or statement."""

    def __init__(self, server: PostgreSQL, pool_mode: str) -> None:
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="hawser-pgbouncer-"))
        self._directory.chmod(0o755)
        configuration = CONFIGURATION.format(
            host=HOST,
            port=self.port,
            server_port=server.port,
            pool_mode=pool_mode,
            directory=self._directory,
        )
        (self._directory / "ini").write_text(configuration)
        (self._directory / "users").write_text(f'"{ROLE}" ""\n')
        self._child: Child | None = None

    def __enter__(self) -> Self:
        program = executable()
        assert program is not None
        command: list[str | Path] = [program, self._directory / "ini"]
        # It refuses to run as root.
        user = SERVER_USER if os.geteuid() == 0 else None
        log = self._directory / "log"
        self._child = Child(command, log, cwd=self._directory, user=user)
        self._child.wait_for(self._answers, START_TIMEOUT, "an answer from PgBouncer")
        return self

    def __exit__(self, *_: object) -> None:
        assert self._child is not None
        self._child.stop()
        shutil.rmtree(self._directory)

    def url(self, name: str) -> str:
        """Return the address of database `name` behind the pooler."""
        address = URL.create("postgresql+psycopg", ROLE, None, HOST, self.port, name)
        return address.render_as_string(hide_password=False)

    def _answers(self) -> bool:
        try:
            psycopg.connect(host=HOST, port=self.port, user=ROLE, dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True
