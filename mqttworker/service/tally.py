"""Counts what a connection receives."""

from __future__ import annotations

from datetime import datetime

from mqttworker.ports.journal import Traffic
from mqttworker.ports.transport import InboundMessage
from mqttworker.service.context import Clock


class Tally:
    """What came in since the worker started."""

    __slots__ = ("_bytes_in", "_clock", "_last_message_at", "_messages_in")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._messages_in = 0
        self._bytes_in = 0
        self._last_message_at: datetime | None = None

    def add(self, message: InboundMessage) -> None:
        """Count `message`."""
        self._messages_in += 1
        self._bytes_in += len(message.payload)
        self._last_message_at = self._clock.wall()

    def traffic(self, round_trip_ms: float | None) -> Traffic:
        """Return the sums, with the time that a message to ourselves takes."""
        return Traffic(
            messages_in=self._messages_in,
            bytes_in=self._bytes_in,
            last_message_at=self._last_message_at,
            round_trip_ms=round_trip_ms,
        )
