"""Standard output as supervisord needs it: every program's log opens it once more by name."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys

STDOUT = 1


def make_reopenable() -> None:
    """Make sure that /dev/fd/1 can be opened for writing and that nobody overwrites another.

    A socket cannot be opened by name, and a terminal of another user must not be; then
    `cat` passes on what a pipe receives.
    """
    sys.stdout.flush()
    mode = os.fstat(STDOUT).st_mode
    if stat.S_ISREG(mode):
        # Programs append to the file; supervisord's own lines have to do the same.
        flags = fcntl.fcntl(STDOUT, fcntl.F_GETFL)
        fcntl.fcntl(STDOUT, fcntl.F_SETFL, flags | os.O_APPEND)
    if not _can_be_opened():
        _relay()


def _can_be_opened() -> bool:
    try:
        os.close(os.open(f"/dev/fd/{STDOUT}", os.O_WRONLY | os.O_APPEND | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _relay() -> None:
    # In a session of its own it outlives Ctrl-C and passes on the last lines too.
    relay = subprocess.Popen(["cat"], stdin=subprocess.PIPE, start_new_session=True)
    assert relay.stdin is not None
    os.dup2(relay.stdin.fileno(), STDOUT)
    relay.stdin.close()
