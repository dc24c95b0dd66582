"""Tells the person at the terminal when the web answers."""

from __future__ import annotations

import os
import time
from pathlib import Path

from ops import listening, livez

#: Give up after this many seconds; the logs say then what is wrong.
PATIENCE = 60.0
#: Seconds between two looks.
INTERVAL = 0.1


def announce(supervisor_socket: Path, bind: str) -> None:
    """Fork a helper that writes one line to stdout as soon as `/livez` answers.

    It also knocks at supervisord's socket: supervisord sleeps for a second before it starts
    the first program, and any connection wakes it.
    """
    if os.fork() != 0:
        os.wait()
        return
    # The helper's own child is nobody's: supervisord must not meet a child it did not start.
    if os.fork() == 0:
        _wait_and_tell(supervisor_socket, bind)
    os._exit(0)


def _wait_and_tell(supervisor_socket: Path, bind: str) -> None:
    address = listening.url(bind)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and not listening.answers(supervisor_socket):
        time.sleep(INTERVAL)
    while time.monotonic() < deadline and listening.answers(supervisor_socket):
        if livez.is_alive(bind):
            os.write(1, f"Hawser is ready: {address}\n".encode())
            return
        time.sleep(INTERVAL)
