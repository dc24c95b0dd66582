"""A program that must not outlive its supervisord: it would keep a port that the next one needs."""

from __future__ import annotations

import ctypes
import os
import signal

_PR_SET_PDEATHSIG = 1


def end_with_supervisord(number: signal.Signals) -> None:
    """Have the kernel send `number` to this process when its supervisord dies.

    Does nothing for a process that supervisord did not start. Raises OSError.
    """
    if "SUPERVISOR_ENABLED" not in os.environ:
        return
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        # It died in between.
        os.kill(os.getpid(), number)
