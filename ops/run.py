"""`run`: check, set up, then become supervisord."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from demo import login
from ops import announcer, listening, output, virtual_environment, worker_process
from ops.bind_address import DEFAULT_BIND, with_port
from ops.errors import CommandError, SettingError
from ops.surroundings import (
    ROOT,
    SUPERVISOR_CONFIG,
    check_gunicorn,
    environment,
    forbid_core_dumps,
    supervisor_environment,
    supervisor_socket,
)

#: The programs of a supervisord that was killed end by themselves, within so many seconds.
ORPHANS_END_WITHIN = 12.0
#: Ends with a sentence and status 2 at a wrong setting. The set-up checks those of the web.
CHECK_WORKER = (
    "from database.settings import load; from mqttworker.settings import WorkerSettings; "
    "load(WorkerSettings)"
)


@dataclass(frozen=True)
class Wanted:
    """What the person at the terminal asked for."""

    home: Path
    port: int | None
    demo: bool

    @property
    def bind(self) -> str:
        """Return the address of the web: HAWSER_BIND, with `--port` in place of its port."""
        bind = os.environ.get("HAWSER_BIND") or DEFAULT_BIND
        if self.port is None:
            return bind
        try:
            return with_port(bind, self.port)
        except ValueError as error:
            msg = f"HAWSER_BIND {error}"
            raise SettingError(msg) from None

    @property
    def with_broker(self) -> bool:
        """Say whether the demo broker runs: only in the demo environment."""
        return self.demo and os.environ.get("HAWSER_ENV", "demo") == "demo"


def run(wanted: Wanted) -> int:
    """Set up and start everything; returns only if that fails. Raises CommandError."""
    _check(wanted)
    python = virtual_environment.ensure("demo" if wanted.with_broker else "run")
    status = _set_up(wanted, python)
    if status == 0:
        _greet(wanted)
        _become_supervisord(wanted, python)
    return status


def is_running(home: Path) -> bool:
    """Say whether a supervisord answers for this data directory."""
    return listening.answers(supervisor_socket(home))


def _check(wanted: Wanted) -> None:
    """Refuse what could not work anyway, before anything is changed. Raises CommandError."""
    check_gunicorn(os.environ)
    if is_running(wanted.home):
        msg = (
            f"Hawser already runs from {wanted.home}; stop it with Ctrl-C where it runs, "
            "or with `python3 manage.py supervisorctl shutdown`."
        )
        raise CommandError(msg)
    if orphans := worker_process.orphans(wanted.home):
        sys.stdout.write(
            f"{worker_process.sentence(orphans)} It hands over to the new worker by itself.\n"
        )
        sys.stdout.flush()
    # supervisord removes the file when it ends, unless it is killed.
    was_killed = (wanted.home / "supervisord.pid").exists()
    patience = ORPHANS_END_WITHIN if was_killed else 0.0
    listening.require_free(wanted.bind, "--port N chooses another one", patience)
    if wanted.with_broker:
        address = f"{login.HOST}:{_demo_port()}"
        cure = "HAWSER_DEMO_BROKER_PORT chooses another one"
        listening.require_free(address, cure, patience)


def _demo_port() -> int:
    try:
        return login.port()
    except ValueError as error:
        raise SettingError(str(error)) from None


def _set_up(wanted: Wanted, python: Path) -> int:
    """Run the web's own set-up in the foreground; return the first exit status that is not 0."""
    setup = ["-m", "webapp", "setup"]
    if wanted.with_broker:
        password_file = login.prepare(wanted.home)
        setup += ["--sample", f"{login.HOST}:{login.port()}", "--sample-user", login.USER]
        setup += ["--sample-password-file", str(password_file)]
    # Without this a SIGTERM would leave the child behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    values = environment(wanted.home) | {"HAWSER_BIND": wanted.bind}
    for arguments in (setup, ["-c", CHECK_WORKER]):
        done = subprocess.run([str(python), *arguments], cwd=ROOT, env=values, check=False)
        if done.returncode != 0:
            return done.returncode
    return 0


def _greet(wanted: Wanted) -> None:
    lines = [f"Hawser starts at {listening.url(wanted.bind)} (Ctrl-C stops it)."]
    password_file = wanted.home / "admin-password"
    if password_file.is_file():
        user = os.environ.get("HAWSER_ADMIN_EMAIL") or "admin@hawser.example"
        lines.append(f"Log in as {user}; the password is in {password_file}.")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _become_supervisord(wanted: Wanted, python: Path) -> NoReturn:
    """Replace this process by supervisord, so that signals and Ctrl-C reach it directly."""
    values = supervisor_environment(wanted.home, python)
    values["HAWSER_BIND"] = wanted.bind
    values["HAWSER_RUN_DEMO_BROKER"] = str(wanted.with_broker).lower()
    if sys.stdout.isatty():
        values.setdefault("HAWSER_LOG_FORMAT", "console")
    # Only the set-up needed it; what a process does not have, it cannot give away.
    for name in ("HAWSER_ADMIN_PASSWORD", "HAWSER_ADMIN_PASSWORD_FILE"):
        values.pop(name, None)
    command = [str(python), "-m", "ops.supervisord", "-c", str(SUPERVISOR_CONFIG)]
    if os.geteuid() == 0:
        # Says that root is meant; supervisord warns otherwise.
        command += ["--user", "root"]
    announcer.announce(supervisor_socket(wanted.home), wanted.bind)
    output.make_reopenable()
    forbid_core_dumps()
    os.chdir(ROOT)
    os.execve(python, command, values)  # noqa: S606 - no shell is wanted
