"""Who is connected, and since when, as a mosquitto's growing log tells it.

All contestants are judged by the broker, in the same way. mosquitto stamps whole
seconds, so the moments are those at which a line appears, by our own clock.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from pathlib import Path

#: Seconds between two looks at the log: the precision of every moment.
LOOK_INTERVAL = 0.005
_OPENED = re.compile(rb"New connection from (\S+) on port")
_CONNECTED = re.compile(rb"New client connected from (\S+) as (.+) \(p\d")
_ENDED = re.compile(rb": Client (.+) (?:closed its connection|disconnected|has exceeded timeout)")


class BrokerLog:
    """Follows the log from where it stands now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = path.stat().st_size
        self._rest = b""
        #: `time.monotonic()` of each TCP connection by its address; some never send CONNECT.
        self._opened_at: dict[bytes, float] = {}
        #: `time.monotonic()` of the first TCP connection of a client.
        self.first_opened_at = math.inf
        #: Client Identifiers and when each connected first.
        self.connected_at: dict[bytes, float] = {}
        #: How many CONNECTs succeeded; more than clients means that some had to repeat.
        self.connects = 0
        #: How many connections of known clients ended.
        self.ended = 0

    def follow(self, clients: int, seconds: float, alive: Callable[[], bool]) -> None:
        """Return once `clients` different ids are connected. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while len(self.connected_at) < clients:
            if not alive() or time.monotonic() > deadline:
                msg = f"{len(self.connected_at)} of {clients} connected"
                raise TimeoutError(msg)
            time.sleep(LOOK_INTERVAL)
            self.read()

    def read(self) -> None:
        """Take in what was logged since the last look."""
        with self._path.open("rb") as log:
            log.seek(self._position)
            data = log.read()
        now = time.monotonic()
        self._position += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line, now)

    def _take(self, line: bytes, now: float) -> None:
        if match := _OPENED.search(line):
            self._opened_at[match[1]] = now
        elif match := _CONNECTED.search(line):
            self.connects += 1
            self.connected_at.setdefault(match[2], now)
            opened_at = self._opened_at.pop(match[1], now)
            self.first_opened_at = min(self.first_opened_at, opened_at)
        elif (match := _ENDED.search(line)) and match[1] in self.connected_at:
            self.ended += 1
