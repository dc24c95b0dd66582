"""The guardian: makes what runs equal to what is wanted, and frees what is stuck."""

from __future__ import annotations

import structlog
from gevent.event import Event
from sqlalchemy.exc import SQLAlchemyError

from database import connect_error
from mqttworker.core.backoff import MIN_CONNECT_GAP
from mqttworker.core.cause import Cause, cause
from mqttworker.core.fallback import Fallback
from mqttworker.core.plan import Plan, plan
from mqttworker.core.spec import Record
from mqttworker.ports.store import Wishes
from mqttworker.service.context import Context
from mqttworker.service.manager import MQTTConnectionManager
from mqttworker.service.threads import in_thread, in_turns

log = structlog.get_logger(__name__)

#: Records acted on before others have their turn.
TURN = 100


class Monitor:
    """Owns the connection managers, one for each wanted record."""

    def __init__(self, wishes: Wishes, context: Context, interval: float) -> None:
        self._wishes = wishes
        self._context = context
        self._interval = interval
        self._wake = Event()
        self._has_loaded = False
        self._version: int | None = None
        #: What each manager was last told to be; ids that are stopping are not in it.
        self._running: dict[int, Record] = {}
        self.managers: dict[int, MQTTConnectionManager] = {}
        #: The last try of each that is gone: it may come again within the second.
        self._tried_at: dict[int, float] = {}
        #: What is known of their brokers, by this worker or the one before.
        self._fallbacks: dict[int, Fallback] = {}

    # --- greenlets

    def monitor_connections(self) -> None:
        """Sweep every `interval` seconds, and at once when `wake` is called."""
        while True:
            self._wake.clear()
            self.sweep()
            self._wake.wait(self._interval)

    def poll_config(self) -> None:
        """Wake the monitor when a wish changed."""
        version = in_thread(self._wishes.config_version)
        if version != self._version:
            self._wake.set()

    def note_all(self) -> None:
        """Write every state once more, and reconcile at once."""
        for manager in self.managers.values():
            self._context.journal.note(manager)
        self._wake.set()

    # --- one sweep

    def sweep(self) -> None:
        """Reconcile once. Without the database, what runs goes on as it is."""
        self.check_all()
        try:
            # In this order: a wish that comes in between is seen by the next poll.
            self._version = in_thread(self._wishes.config_version)
            wanted = in_thread(self._wishes.load_records)
            if not self._has_loaded:
                self._fallbacks = in_thread(self._wishes.load_fallbacks)
        except SQLAlchemyError as error:
            words = "connections cannot be read, going on with what is known"
            log.error(words, error=connect_error.words(error))
            return
        why = cause("enabled" if self._has_loaded else "worker_start")
        self._has_loaded = True
        self.apply(plan(wanted, self._running), why)

    def apply(self, todo: Plan, why: Cause) -> None:
        """Do what the plan says, a few records at a time."""
        for record in in_turns(todo.start, TURN):
            self._start(record, why)
        for record in in_turns(todo.restart, TURN):
            if manager := self._becomes(record):
                manager.update(record)
        for record in in_turns(todo.touch, TURN):
            if manager := self._becomes(record):
                manager.touch(record)
        for connection_id in in_turns(todo.stop, TURN):
            if self._running.pop(connection_id, None) is not None:
                self.managers[connection_id].stop(cause("disabled"))

    def _becomes(self, record: Record) -> MQTTConnectionManager | None:
        """Return who is to follow `record`, None if that ended since the plan was made."""
        if record.connection_id not in self._running:
            return None
        self._running[record.connection_id] = record
        return self.managers[record.connection_id]

    def _start(self, record: Record, why: Cause) -> None:
        self._running[record.connection_id] = record
        leaving = self.managers.get(record.connection_id)
        if leaving is not None:
            # Disabled a moment ago and still saying goodbye.
            leaving.update(record)
            return
        tried_at = self._tried_at.pop(record.connection_id, float("-inf"))
        fallback = self._fallbacks.pop(record.connection_id, None)
        manager = MQTTConnectionManager(record, self._context, self._over, tried_at, fallback)
        self.managers[record.connection_id] = manager
        manager.start(why)

    def _over(self, manager: MQTTConnectionManager) -> None:
        connection_id = manager.record.connection_id
        self._context.logins.leaves(manager)
        if self.managers.get(connection_id) is manager:
            del self.managers[connection_id]
            # Whatever ended it, one that is wanted is started by the next sweep.
            self._running.pop(connection_id, None)
            self._tried_at[connection_id] = manager.tried_at
            if manager.fallback is not None:
                self._fallbacks[connection_id] = manager.fallback

    def check_all(self) -> None:
        """Free every connection that does not move by itself."""
        now = self._context.clock.now()
        recent = now - MIN_CONNECT_GAP
        self._tried_at = {key: at for key, at in self._tried_at.items() if at > recent}
        for manager in list(self.managers.values()):
            if manager.greenlet is not None and manager.greenlet.dead:
                self._replace(manager)
            else:
                manager.check(now)

    def _replace(self, manager: MQTTConnectionManager) -> None:
        """Start a connection afresh whose greenlet met an error of ours and died."""
        connection_id = manager.record.connection_id
        error = type(manager.greenlet.exception).__name__ if manager.greenlet else ""
        log.error(
            "the greenlet of a connection died, starting it afresh",
            connection=manager.record.name,
            connection_id=connection_id,
            error=error,
        )
        manager.abort()
        self._context.logins.leaves(manager)
        if manager.record.spec is not None:
            self._context.fleet.has_died(manager.record.spec)
        del self.managers[connection_id]
        record = self._running.pop(connection_id, None)
        if record is not None:
            self._start(record, cause("internal_error", error=error))
