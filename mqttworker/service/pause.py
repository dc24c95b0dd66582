"""A time in which a connection leaves its client id to somebody else."""

from __future__ import annotations

from gevent.event import Event as Signal

from mqttworker.core.cause import Cause


class Pause:
    """A time in which somebody else uses the client id of a connection."""

    def __init__(self, why: Cause) -> None:
        self.why = why
        #: Set when the session is gone.
        self.rests = Signal()
        #: To be set by whoever asked for the pause.
        self.is_over = Signal()
        #: Why there is no life after it.
        self.stopped_by: Cause | None = None

    def stop(self, why: Cause) -> None:
        """End it; there is no life afterwards."""
        self.stopped_by = why
        self.is_over.set()
