"""Who was accepted and when, read from a mosquitto's growing log every millisecond.

mosquitto writes a line the moment it accepts a client, unbuffered, and stamps whole seconds
only. So the moments are those at which a thread of ours finds the line. It goes before
others where that is permitted, and `longest_gap` says how late it can have been.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from pathlib import Path
from typing import Self

#: Seconds between two looks at the log.
LOOK_INTERVAL = 0.001
#: Niceness of the thread that looks; only root may have it.
URGENT = -15
_CONNECTED = re.compile(rb"New client connected from \S+ as (.+) \(p\d")
_LISTENS = b"Opening ipv4 listen socket"


class StormLog:
    """Follows the log of one broker over all its restarts. A context manager reads it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow)
        #: `time.monotonic()` of each CONNACK that accepts, and the Client Identifier.
        self.accepted: list[tuple[float, bytes]] = []
        #: `time.monotonic()` of each start of the listener.
        self.listens_at: list[float] = []
        #: Seconds between the two looks that were farthest apart; may be set to 0.
        self.longest_gap = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def clients_since(self, moment: float) -> int:
        """Return how many different clients were accepted since then."""
        return len({client for at, client in list(self.accepted) if at >= moment})

    def _follow(self) -> None:
        with contextlib.suppress(PermissionError):
            # Of this thread alone: the processes that are measured must not inherit it.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), URGENT)
        rest, looked_at = b"", time.monotonic()
        with self._path.open("rb", buffering=0) as log:
            while not self._over.wait(LOOK_INTERVAL):
                self.longest_gap = max(self.longest_gap, time.monotonic() - looked_at)
                looked_at = time.monotonic()
                if data := log.read():
                    *lines, rest = (rest + data).split(b"\n")
                    self._take(lines, time.monotonic())

    def _take(self, lines: list[bytes], now: float) -> None:
        for line in lines:
            if match := _CONNECTED.search(line):
                self.accepted.append((now, match[1]))
            elif _LISTENS in line:
                self.listens_at.append(now)
