"""One set-up at a time: a second one waits, and then finds that nothing is left to do."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

LOCK_FILE = "setup.lock"
#: Among the advisory locks of the database; any number that nobody else has.
LOCK_NUMBER = int.from_bytes(b"hawserup")
RETRY_INTERVAL = 0.1  # seconds

Say = Callable[[str], object]


def lock(engine: Engine, say: Say) -> AbstractContextManager[None]:
    """Hold the only set-up of the database of `engine`. Raises SQLAlchemyError, OSError."""
    if engine.dialect.name == "sqlite":
        return lock_directory(Path(str(engine.url.database)).absolute().parent, say)
    return _lock_server(engine, say)


@contextmanager
def lock_directory(directory: Path, say: Say) -> Iterator[None]:
    """Hold the only set-up of what is in `directory`. Raises OSError."""
    handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _wait(lambda: _is_taken(handle), say)
        yield
    finally:
        # The kernel gives the lock back, however this process ends.
        os.close(handle)


@contextmanager
def _lock_server(engine: Engine, say: Say) -> Iterator[None]:
    number = {"number": LOCK_NUMBER}
    autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        take = text("SELECT NOT pg_try_advisory_lock(:number)")
        _wait(lambda: bool(connection.scalar(take, number)), say)
        try:
            yield
        finally:
            # The session is not used again: the server gives the lock back with its end.
            connection.invalidate()


def _is_taken(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _wait(is_taken: Callable[[], bool], say: Say) -> None:
    """Return once `is_taken` has taken the lock for us."""
    is_told = False
    while is_taken():
        if not is_told:
            say("Another set-up is under way; waiting until it ends ...")
            is_told = True
        time.sleep(RETRY_INTERVAL)
