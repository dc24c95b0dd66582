"""The virtual environment: made once, repaired when broken, filled from the lock files."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ops import pip, private_files
from ops.errors import CommandError
from ops.surroundings import ROOT

#: The sets of requirements, each a file in requirements/; a later one holds all of an earlier.
SETS = ("run", "demo", "dev")
STAMP = "hawser-stamp.json"


def ensure(wanted: str) -> Path:
    """Return the Python of a virtual environment that holds the set `wanted`.

    Does nothing when its stamp says so already. Raises CommandError.
    """
    directory = location()
    if _holds(directory, wanted):
        return python_of(directory)
    _require_writable(directory)
    try:
        with private_files.usual_umask(), _only_one():
            # Another call may have done the work while this one waited.
            if not _holds(directory, wanted):
                _fill(directory, wanted)
    except OSError as error:
        raise _cannot_install(Path(error.filename or directory), error.strerror) from None
    return python_of(directory)


def _require_writable(directory: Path) -> None:
    """Raise CommandError where this user can install nothing."""
    for path in (ROOT, pip.TOOLS, directory):
        if path.exists() and not os.access(path, os.W_OK | os.X_OK):
            raise _cannot_install(path, "not writable for this user")


def _cannot_install(path: Path, problem: str | None) -> CommandError:
    return CommandError(
        f"The packages of {ROOT} are not installed or out of date, and {path} cannot be written "
        f"({problem}): run this command once as the user who owns {ROOT}, "
        f"or give this user the right to write there."
    )


def installed(wanted: str) -> Path | None:
    """Return the Python that holds the set `wanted` already, else None; nothing is installed."""
    directory = location()
    return python_of(directory) if _holds(directory, wanted) else None


def location() -> Path:
    """Return `.venv`, or a directory of its own if `.venv` belongs to another Python version."""
    default = ROOT / ".venv"
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    made_by = _version(default)
    return default if made_by in (None, here) else ROOT / f".venv-{here}"


def python_of(directory: Path) -> Path:
    """Return the path of the interpreter in a virtual environment."""
    return directory / "bin" / "python"


def _version(directory: Path) -> str | None:
    """Return the version (`3.11`) a virtual environment was made with, None if it is unusable."""
    if not os.access(python_of(directory), os.X_OK):
        return None
    found = list(directory.glob("lib/python3.*"))
    return found[0].name.removeprefix("python") if len(found) == 1 else None


def _holds(directory: Path, wanted: str) -> bool:
    """Say whether the stamp names the lock file of `wanted` or of a larger set."""
    if not os.access(python_of(directory), os.X_OK):
        return False
    try:
        stamp = json.loads((directory / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    enough = SETS[SETS.index(wanted) :]
    return stamp in [_stamp(name) for name in enough]


def _stamp(name: str) -> dict[str, str]:
    return {"set": name, "lock": hashlib.sha256(pip.lock_file(name).read_bytes()).hexdigest()}


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Let one manage.py at a time change the virtual environment; the others wait."""
    pip.TOOLS.mkdir(exist_ok=True)
    with (pip.TOOLS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _say("Waiting for another manage.py that is installing packages ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(directory: Path, wanted: str) -> None:
    (directory / STAMP).unlink(missing_ok=True)
    if not pip.is_there(python_of(directory)):
        _make(directory)
    _say(f"Installing requirements/{wanted}.txt into {directory.name} (once, a minute or two) ...")
    pip.install(python_of(directory), wanted)
    (directory / STAMP).write_text(json.dumps(_stamp(wanted)), encoding="utf-8")


def _make(directory: Path) -> None:
    """Make the virtual environment anew with venv, or with virtualenv where venv is crippled."""
    _say(f"Making {directory.name} ...")
    shutil.rmtree(directory, ignore_errors=True)
    problem = pip.quietly([sys.executable, "-m", "venv", str(directory)])
    if problem is None and pip.is_there(python_of(directory)):
        return
    # Debian keeps ensurepip in a package of its own (python3-venv): venv then fails half-way.
    shutil.rmtree(directory, ignore_errors=True)
    _make_with_virtualenv(directory)


def _make_with_virtualenv(directory: Path) -> None:
    if not pip.is_there(sys.executable):
        msg = (
            "This Python can make no virtual environment: it has neither venv nor pip. "
            "On Debian, `apt-get install python3-venv` puts that right."
        )
        raise CommandError(msg)
    target = pip.install_tool("virtualenv")
    command = [sys.executable, "-m", "virtualenv", str(directory)]
    problem = pip.quietly(command, PYTHONPATH=str(target))
    if problem is not None:
        msg = f"virtualenv could not make {directory}:\n{problem}"
        raise CommandError(msg)


def _say(sentence: str) -> None:
    sys.stdout.write(f"{sentence}\n")
    sys.stdout.flush()
