"""What follows when the present life of a connection is over."""

from __future__ import annotations

from collections.abc import Callable

import gevent

from mqttworker.core.cause import Cause
from mqttworker.core.spec import Record
from mqttworker.service.context import LEASE_RETRY
from mqttworker.service.pause import Pause


class Sequel:
    """Another life as `record`, after `pause` if there is one, or nothing."""

    __slots__ = ("_stopped_by", "pause", "record")

    def __init__(self) -> None:
        self.record: Record | None = None
        self.pause: Pause | None = None
        #: Why there is no life after this one, None while the record is wanted.
        self._stopped_by: Cause | None = None

    def stop(self, why: Cause) -> None:
        """Let nothing follow."""
        self.record, self._stopped_by = None, why
        if self.pause is not None:
            self.pause.stop(why)

    def update(self, record: Record) -> None:
        """Let a life as `record` follow."""
        self.record, self._stopped_by = record, None

    def touch(self, record: Record) -> None:
        """Let a life that follows be as `record`: an edit that needs no reconnect by itself."""
        if self.record is not None:
            self.record = record

    def begin_pause(self, why: Cause, record: Record) -> Pause:
        """Let a pause follow, then a life as `record` unless another was announced."""
        self.pause = Pause(why)
        if self._stopped_by is not None:
            # It is leaving for good, and must not come back because of a pause.
            self.pause.stop(self._stopped_by)
        else:
            self.record = self.record or record
        return self.pause

    def sit_out_pause(self, may_connect: Callable[[], bool]) -> Pause | None:
        """Return the pause when it is over and a life may follow, None if there was none."""
        if self.pause is None:
            return None
        self.pause.rests.set()
        self.pause.is_over.wait()
        while self.pause.stopped_by is None and not may_connect():
            gevent.sleep(LEASE_RETRY)
        pause, self.pause = self.pause, None
        return pause
