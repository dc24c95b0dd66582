"""What a worker does when its supervisord dies: it serves on, and hands over when it can."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import structlog

from mqttworker.adapters import process
from mqttworker.service.lease import LeaseKeeper

log = structlog.get_logger(__name__)

#: Time between two looks, seconds.
LOOK_INTERVAL = 0.5
#: Where the log of an orphan goes, in HAWSER_HOME: supervisord's end of the pipe is closed.
LOG_NAME = "mqttworker-orphan.log"


class OrphanCare:
    """The connections outlive supervisord, but nobody would restart or stop this worker."""

    def __init__(self, lease: LeaseKeeper, home: Path, ask_to_stop: Callable[[], object]) -> None:
        self._supervisor = process.Supervisor()
        self._lease = lease
        self._log_file = home / LOG_NAME
        self._ask_to_stop = ask_to_stop
        self._is_orphan = False

    def look(self) -> None:
        """Find out whether supervisord lives; called every LOOK_INTERVAL."""
        if not self._is_orphan:
            if not self._supervisor.is_gone:
                return
            self._is_orphan = True
            process.write_output_to(self._log_file)
            log.warning("supervisord died: the connections stay until another worker stands by")
        if not self._lease.held.is_set():
            log.info("a worker without supervisord and without connections has nothing to do")
            self._ask_to_stop()
        elif self._lease.has_standby:
            log.info("another worker stands by: this one, without supervisord, hands over")
            self._ask_to_stop()
