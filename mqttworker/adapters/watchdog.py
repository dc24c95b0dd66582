"""Ends a process whose hub no longer turns, with the stack of every thread in the log.

A hub that hangs keeps its sockets open, so brokers would believe in it for a Keep Alive
and a half, and connections would read as connected that nobody serves. A process that
ends has its wills published at once, and supervisord starts it again.
"""

from __future__ import annotations

import faulthandler
import os
import time
from typing import NoReturn

from mqttworker.core.pulses import FREEZE_LIMIT

STDERR = 2


class FreezeWatchdog:
    """Bites when it has not been patted for `limit` seconds; its thread needs no interpreter."""

    def __init__(self, limit: float = FREEZE_LIMIT) -> None:
        self._limit = limit
        self._patted_at: float | None = None

    def pat(self) -> None:
        """Wait for `limit` seconds more; a greenlet that calls this shows that the hub turns.

        A pat that comes too late does not help any more.
        """
        self.bite_if_overdue()
        self._patted_at = time.monotonic()
        faulthandler.dump_traceback_later(self._limit, exit=True)

    def send_away(self) -> None:
        """Never bite."""
        self._patted_at = None
        faulthandler.cancel_dump_traceback_later()

    def bite_if_overdue(self) -> None:
        """End a process that was frozen for too long before it does anything else.

        The watchdog's thread needs a moment for the stacks, and in that moment the hub
        could still send something, although another worker may have taken over.
        """
        if self._patted_at is not None:
            frozen = time.monotonic() - self._patted_at
            if frozen > self._limit:
                end_now(f"the worker was frozen for {frozen:.1f} s: it ends before it does harm")


def end_now(sentence: str) -> NoReturn:
    """Write `sentence` and the stacks to stderr and end the process; safe in a signal handler."""
    # Waits for a watchdog that is already writing its stacks, and ends with it.
    faulthandler.cancel_dump_traceback_later()
    os.write(STDERR, f"{sentence}\n".encode())
    faulthandler.dump_traceback(STDERR)
    os._exit(1)
