"""Turns between the processes of a parallel run: tests share the machine, a few need it alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Directories of the checkout serve as locks: every process of a run finds them, none is left over.
MACHINE = Path(__file__).parent
QUEUE = MACHINE.parent


@contextmanager
def turn(*, alone: bool, queue: Path = QUEUE, machine: Path = MACHINE) -> Iterator[None]:
    """Wait until this test may run, with the machine to itself if it is `alone`."""
    with _opened(queue) as entrance, _opened(machine) as room:
        fcntl.flock(entrance, fcntl.LOCK_EX)
        # Who wants to be alone waits here, with the entrance closed: nobody slips past for ever.
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(entrance, fcntl.LOCK_UN)
        yield


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    # Closing releases the lock; children do not inherit it.
    number = os.open(directory, os.O_RDONLY)
    try:
        yield number
    finally:
        os.close(number)
