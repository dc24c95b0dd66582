"""Turns between the processes of a parallel run: tests share the machine, a few need it alone."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Directories of the checkout serve as locks: every process of a run finds them, none is left over.
_MACHINE = Path(__file__).parent
_QUEUE = _MACHINE.parent


@contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Wait until this test may run, with the machine to itself if it is `alone`."""
    with _open(_QUEUE) as queue, _open(_MACHINE) as machine:
        fcntl.flock(queue, fcntl.LOCK_EX)
        # Who wants to be alone waits here, with the queue closed: nobody slips past for ever.
        fcntl.flock(machine, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(queue, fcntl.LOCK_UN)
        yield


@contextmanager
def _open(directory: Path) -> Iterator[int]:
    # Closing releases the lock; children do not inherit it.
    opened = os.open(directory, os.O_RDONLY)
    try:
        yield opened
    finally:
        os.close(opened)
