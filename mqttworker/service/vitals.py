"""Shows that the hub turns: to the watchdog inside the process and to the watcher outside."""

from __future__ import annotations

from pathlib import Path

import gevent

from mqttworker.adapters.pulse import Pulse
from mqttworker.adapters.watchdog import FreezeWatchdog
from mqttworker.core.pulses import PULSE_INTERVAL


class Vitals:
    """One greenlet that pats the watchdog and sends the pulse, from the start to the very end."""

    def __init__(self, home: Path) -> None:
        self._watchdog = FreezeWatchdog()
        self._pulse = Pulse(home)
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> gevent.Greenlet[..., None]:
        """Begin; the greenlet ends only by `end` or by an error."""
        self._greenlet = gevent.spawn(self._run)
        return self._greenlet

    def end(self) -> None:
        """Be watched no longer."""
        if self._greenlet is not None:
            self._greenlet.kill()
        self._watchdog.send_away()
        self._pulse.goodbye()

    def check(self) -> None:
        """End the process here and now if it was frozen for too long."""
        self._watchdog.bite_if_overdue()

    def _run(self) -> None:
        while True:
            self._watchdog.pat()
            self._pulse.beat()
            gevent.sleep(PULSE_INTERVAL)
