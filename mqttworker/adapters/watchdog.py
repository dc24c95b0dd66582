"""Ends a process whose hub no longer turns, with the stack of every thread in the log.

A hub that hangs keeps its sockets open, so brokers would believe in it for a Keep Alive
and a half, and connections would read as connected that nobody serves. A process that
ends has its wills published at once, and supervisord starts it again.
"""

from __future__ import annotations

import faulthandler

#: A hub that has not turned for this long will not turn again, seconds.
FREEZE_LIMIT = 4.0
#: Time between two pats, seconds.
PAT_INTERVAL = 0.5


class FreezeWatchdog:
    """Bites when it has not been patted for `limit` seconds; its thread needs no interpreter."""

    def __init__(self, limit: float = FREEZE_LIMIT) -> None:
        self._limit = limit

    def pat(self) -> None:
        """Wait for `limit` seconds more; a greenlet that calls this shows that the hub turns."""
        faulthandler.dump_traceback_later(self._limit, exit=True)

    def send_away(self) -> None:
        """Never bite."""
        faulthandler.cancel_dump_traceback_later()
