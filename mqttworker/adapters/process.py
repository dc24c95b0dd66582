"""What the operating system knows of this process."""

from __future__ import annotations

import gc
import os
import resource
import sys
from pathlib import Path

#: Longest turn of a database thread while the hub wants to run, seconds.
SWITCH_INTERVAL = 0.0005
#: Dead clients are cycles, so collections must go on, but not every 700 objects.
GC_THRESHOLDS = (50_000, 10, 10)

_PAGE = resource.getpagesize()


def rss_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except OSError:
        return 0


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def favour_the_hub() -> None:
    """Let the hub's thread have the interpreter back soon after a database thread took it.

    At Python's own 5 ms every send of a busy hub could wait that long.
    """
    sys.setswitchinterval(SWITCH_INTERVAL)


def settle_memory() -> None:
    """Keep what is loaded by now out of every later garbage collection.

    A full collection over all modules would stop the hub for longer each time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def pid() -> int:
    """Return the process id."""
    return os.getpid()
