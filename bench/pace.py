"""A publisher beside the benchmark that keeps a pace: so many messages a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Self

from bench.publisher import packets
from bench.session import RawSession

#: Seconds between two writes.
TICK = 0.02
SIZE = 100  # bytes of a payload
PIECE = 1_000  # messages in one write at most


class Pace(threading.Thread):
    """Publishes the numbers from 0 on over `connections` topics, `rate` a second, at QoS 1.

    A context manager starts it. `stop` ends it early; at its end the broker has
    acknowledged all `published`. It never gets farther than `limit()`.
    """

    def __init__(
        self,
        port: int,
        rate: float,
        connections: int = 1,
        most: int = 2**62,
        limit: Callable[[], int] = lambda: 2**62,
    ) -> None:
        super().__init__(name="pace", daemon=True)
        self._port, self._rate, self._connections, self._most = port, rate, connections, most
        self._limit = limit
        self._over = threading.Event()
        #: How many are sent, and how many of these the broker has acknowledged.
        self.published = 0
        self.acknowledged = 0
        #: When each was sent, seconds since the epoch.
        self.sent_at: list[float] = []
        self.error: OSError | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self) -> None:
        """Publish until all is sent, or `stop`."""
        try:
            with RawSession(self._port, "pace") as session:
                self._publish(session)
                session.settle()
                self.acknowledged = session.acknowledged
        except OSError as error:
            self.error = error

    def stop(self) -> None:
        """Publish nothing more, and return when the broker has acknowledged everything."""
        self._over.set()
        self.join()
        if self.error is not None:
            raise self.error

    def hurry(self, rate: float) -> None:
        """Publish so many messages a second from now on."""
        self._rate = rate

    def _publish(self, session: RawSession) -> None:
        due, looked_at = 1.0, time.monotonic()
        while self.published < self._most and not self._over.wait(TICK):
            due += (time.monotonic() - looked_at) * self._rate
            looked_at = time.monotonic()
            # A pace that was missed is made up for in pieces that the window takes.
            last = min(int(due), self._most, self.published + PIECE)
            last = max(self.published, min(last, self._limit()))
            numbers = range(self.published, last)
            self.sent_at += [time.time()] * len(numbers)
            session.send(b"".join(packets(numbers, self._connections, SIZE)), len(numbers))
            self.published = last
