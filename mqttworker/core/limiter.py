"""Spreads the CONNECTs to one broker, so that its return is not met by a storm."""

from __future__ import annotations

Broker = tuple[str, int]
#: When, and which connection.
Loss = tuple[float, int]

_NEVER: Loss = (float("-inf"), 0)


class ConnectLimiter:
    """Hands out moments to connect, evenly `1 / rate` seconds apart for each broker.

    First tries of a record do not ask: they meet a broker that has not just failed and
    go as fast as it answers.
    """

    def __init__(self, rate: float) -> None:
        self._interval = 1.0 / rate
        self._next: dict[Broker, float] = {}

    def reserve(self, broker: Broker, now: float) -> float:
        """Return the moment at which the caller may connect, `now` or later."""
        slot = max(now, self._next.get(broker, 0.0))
        self._next[broker] = slot + self._interval
        return slot


class LossWatch:
    """Knows whether connections to one broker are lost together.

    Then the broker or the network is the reason, not the connection.
    """

    #: Losses this close to each other belong together.
    TOGETHER = 2.0  # seconds

    def __init__(self) -> None:
        #: For each broker the last loss, and the last one of another connection.
        self._last: dict[Broker, tuple[Loss, Loss]] = {}

    def lost(self, broker: Broker, connection_id: int, now: float) -> None:
        """Note a loss."""
        last, other = self._last.get(broker, (_NEVER, _NEVER))
        if last[1] != connection_id:
            other = last
        self._last[broker] = ((now, connection_id), other)

    def is_alone(self, broker: Broker, connection_id: int, now: float) -> bool:
        """Whether no other connection to `broker` was lost a moment ago."""
        last, other = self._last.get(broker, (_NEVER, _NEVER))
        at, _ = other if last[1] == connection_id else last
        return now - at > self.TOGETHER
