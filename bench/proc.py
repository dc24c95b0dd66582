"""What the kernel says about a process."""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """Return a process and all of its descendants."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *(member for child in children for member in family(int(child)))]


def rss_kb(pid: int) -> int:
    """Return the resident memory of a process and its descendants in KB."""
    return sum(map(_rss_kb, family(pid)))


def cpu_percent(pid: int, seconds: float) -> float:
    """Watch a process and its descendants for `seconds`; return how much of one core they used."""
    before, started = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - started)


def peak_kb(pid: int) -> int:
    """Return the most resident memory that one process ever had, in KB."""
    return _status_kb(pid, "VmHWM:")


def _rss_kb(pid: int) -> int:
    return _status_kb(pid, "VmRSS:")


def _status_kb(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    msg = f"process {pid} has no resident memory"
    raise ProcessLookupError(msg)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its descendants have used, user and system."""
    total = 0
    for member in family(pid):
        # The second field is the program's name in brackets and may hold blanks.
        stat = Path(f"/proc/{member}/stat").read_text(encoding="ascii")
        fields = stat.rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def seconds_until_exit(descriptor: int, limit: float) -> float:
    """Return how long the process behind a pidfd took to end. Raises TimeoutError."""
    started = time.monotonic()
    if not select.select([descriptor], [], [], limit)[0]:
        msg = f"the process still runs after {limit:g} s"
        raise TimeoutError(msg)
    return time.monotonic() - started
