"""The network connection as gmqtt writes to it, kept alive and judged by us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gmqtt.mqtt.connection import MQTTConnection

from mqttworker.core.cause import Cause, cause

#: A PINGREQ is due after this share of the Keep Alive without traffic.
PING_AFTER = 0.75
#: The broker is dead after so many Keep Alives, and this much more, without a byte.
DEAD_AFTER, DEAD_SLACK = 1.5, 1.0  # Keep Alives, seconds


class KeptConnection(MQTTConnection):  # type: ignore[misc]
    """Pings in time and notices a dead broker after 1.5 Keep Alives and a second.

    gmqtt alone waits up to 2.5 Keep Alives, counts only whole packets, and then closes
    in a way that never ends while unsent bytes remain.
    """

    on_dead: Callable[[Cause], None]

    def hold(self) -> None:
        """Neither ping nor judge: until its CONNACK a broker owes nothing else."""
        self._keep_connection_callback.cancel()

    def keep(self) -> None:
        """Begin to ping and to judge, with the Keep Alive that the CONNACK may have set."""
        self._keep_connection_callback.cancel()
        self._keep_connection()

    def _keep_connection(self) -> None:
        if self.is_closing() or not self._keepalive:
            return
        now = time.monotonic()
        if self._protocol.is_paused:
            # Who does not listen cannot complain of silence.
            self._protocol.heard_at = now
        silent = now - self._protocol.heard_at
        dead_after = DEAD_AFTER * self._keepalive + DEAD_SLACK
        if silent >= dead_after:
            self.on_dead(cause("keepalive_timeout", seconds=round(silent, 1)))
            return
        blocked_for = self._blocked_for(now)
        if blocked_for >= dead_after:
            self.on_dead(cause("write_blocked", seconds=round(blocked_for, 1)))
            return
        ping_after = PING_AFTER * self._keepalive
        # Only what we send keeps us alive at the broker, and only an answer shows that
        # it lives: so whichever has been quiet for longer asks for a ping.
        quiet = now - min(self._last_data_out, self._protocol.heard_at)
        if quiet >= ping_after:
            self._send_ping_request()
            quiet = 0.0
        wait = min(ping_after - quiet, dead_after - silent, dead_after - blocked_for)
        loop = asyncio.get_running_loop()
        self._keep_connection_callback = loop.call_later(max(wait, 0.01), self._keep_connection)

    def _blocked_for(self, now: float) -> float:
        since = self._protocol.blocked_since
        return 0.0 if since is None else now - since

    def blocked(self) -> Cause | None:
        """Return why nothing more can be written now, None if it can."""
        if self._protocol.blocked_since is None:
            return None
        return cause("write_blocked", seconds=round(self._blocked_for(time.monotonic()), 1))

    def write(self, data: bytes) -> None:
        """Write `data`, which is whole packets."""
        self._transport.write(data)
        self._last_data_out = time.monotonic()

    def end(self) -> None:
        """Stop the timer, which would hold on to this object, and drop the socket."""
        if self._keep_connection_callback:
            self._keep_connection_callback.cancel()
        self._transport.abort()
