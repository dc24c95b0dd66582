"""Keep no more messages than operators want, without getting in the way of new ones."""

from __future__ import annotations

from collections.abc import Iterator

import gevent
import structlog

from mqttworker.ports.store.retention import Retention
from mqttworker.service.threads import in_thread

log = structlog.get_logger(__name__)

#: Time between two rounds, seconds.
RETENTION_INTERVAL = 60.0
#: Pause after a transaction, in lengths of that transaction: the clean-up takes at most a
#: third of what the database can do, and half when more comes than goes. The least, seconds.
REST, HURRIED_REST, LEAST_REST = 2.0, 1.0, 0.01


class Keeper:
    """Makes room for the messages of the days to come and removes those of days gone by."""

    def __init__(self, store: Retention) -> None:
        self._store = store
        self._problem: str | None = None

    def prepare(self) -> None:
        """Make the partitions that PostgreSQL will need."""
        before, self._problem = self._problem, in_thread(self._store.prepare)
        if self._problem and self._problem != before:
            log.warning(
                "a partition cannot be made now, messages are stored without it",
                problem=self._problem,
            )

    def clean(self) -> None:
        """Remove what is too old or too much, until nothing is left to remove."""
        rest = REST
        while True:
            self.prepare()
            self._pace(self._store.clean(), rest)
            if not self._store.is_behind:
                return
            rest = HURRIED_REST

    @staticmethod
    def _pace(work: Iterator[float], rest: float) -> None:
        """Do the steps of `work` in a thread, with a rest after each for those beside."""
        while (held := in_thread(next, work, None)) is not None:
            gevent.sleep(max(LEAST_REST, rest * held))
