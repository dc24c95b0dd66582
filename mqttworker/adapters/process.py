"""What the operating system knows of this process, and what it is asked to do for it."""

from __future__ import annotations

import contextlib
import faulthandler
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


def show_stacks_when_dying() -> None:
    """Write every stack to stderr at a fatal signal, SIGABRT included, but no memory to disk.

    The memory holds passwords and keys.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):
        # The limit does not bind a program that receives core dumps through a pipe.
        Path("/proc/self/coredump_filter").write_text("0", encoding="ascii")
    faulthandler.enable()


class Supervisor:
    """The supervisord that started this process, if one did."""

    def __init__(self) -> None:
        self._pid = os.getppid() if "SUPERVISOR_ENABLED" in os.environ else None

    @property
    def is_gone(self) -> bool:
        """Whether it has died; whoever reads our output died with it."""
        return self._pid is not None and os.getppid() != self._pid


def write_output_to(path: Path) -> None:
    """Let stdout and stderr of this process go to a new file, or nowhere if it cannot be made."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
    try:
        file = os.open(path, flags, 0o600)
    except OSError:
        file = os.open(os.devnull, os.O_WRONLY)
    for standard in (1, 2):
        os.dup2(file, standard)
    os.close(file)


def pid() -> int:
    """Return the process id."""
    return os.getpid()
