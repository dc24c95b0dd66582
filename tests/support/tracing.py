"""Stops one thread of another process: a hub that hangs, with every other thread going on."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_SEIZE, _INTERRUPT, _DETACH = 0x4206, 0x4207, 17  # ptrace(2)
_ANY_KIND = 0x40000000  # __WALL of waitpid(2): threads too


@contextmanager
def stopped_main_thread(pid: int) -> Iterator[None]:
    """Keep the main thread of `pid`, a descendant of this process, where it stands."""
    _ptrace(_SEIZE, pid)
    _ptrace(_INTERRUPT, pid)
    os.waitpid(pid, _ANY_KIND)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            _ptrace(_DETACH, pid)


def wait_for_end(pid: int) -> None:
    """Return when the process has ended; its parent hears of it only then."""
    while True:
        _, status = os.waitpid(pid, _ANY_KIND)
        if not os.WIFSTOPPED(status):
            return


def _ptrace(request: int, pid: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if libc.ptrace(request, pid, None, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
