"""The SQLite file of a first run. Nothing else ever makes one."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from sqlalchemy import Engine

from database import sqlite_file

#: In HAWSER_HOME; a worker that runs connections holds a lock on it.
WORKER_LOCK = "worker.lock"


def ensure_file(engine: Engine, home: Path) -> None:
    """Make the file of `engine` if it is missing; end the process with a sentence if it cannot be.

    While a worker runs the missing file is its file: a new one would hide what it holds.
    """
    path = sqlite_file.path_of(engine.url)
    if path is None or sqlite_file.file_id(path) is not None:
        return
    if is_worker_running(home):
        sys.exit(
            f"hawser: the SQLite file {path} is missing, but a worker still runs from {home}: put "
            "the file back, or stop the worker before a new file is made "
            "(`python3 manage.py supervisorctl status` says how)"
        )
    try:
        if path.exists():
            sys.exit(f"hawser: HAWSER_DATABASE_URL: {path} is no file; name the SQLite file itself")
        sqlite_file.create(engine)
    except OSError as error:
        sys.exit(
            f"hawser: HAWSER_DATABASE_URL: the SQLite file {path} cannot be made "
            f"({error.strerror}); check that its directory exists and is writable"
        )


def is_worker_running(home: Path) -> bool:
    """Return whether a worker runs connections from this data directory."""
    try:
        lock = os.open(home / WORKER_LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
