"""What the kernel says about a process."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def rss_kb(pid: int) -> int:
    """Return the resident memory of a process in KB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    msg = f"process {pid} has no resident memory"
    raise ProcessLookupError(msg)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, user and system together."""
    # The second field is the program's name in brackets and may hold blanks.
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def cpu_percent(pid: int, seconds: float) -> float:
    """Watch a process for `seconds`; return how much of one core it used."""
    before, started = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - started)


def seconds_until_exit(descriptor: int, limit: float) -> float:
    """Return how long the process behind a pidfd took to end. Raises TimeoutError."""
    started = time.monotonic()
    if not select.select([descriptor], [], [], limit)[0]:
        msg = f"the process still runs after {limit:g} s"
        raise TimeoutError(msg)
    return time.monotonic() - started
