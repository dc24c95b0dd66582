"""What is done now and then: counters written, old rows removed."""

from __future__ import annotations

import structlog

from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.ports.store import Store
from mqttworker.service.fleet import Fleet
from mqttworker.service.ledger import Ledger
from mqttworker.service.monitor import Monitor
from mqttworker.service.threads import in_thread, in_turns

log = structlog.get_logger(__name__)

#: Time between two writings of the message counters, seconds.
TRAFFIC_INTERVAL = 5.0
#: Time between two looks for expected messages that have not come, seconds.
LISTEN_INTERVAL = 1.0
#: Connections looked at before others have their turn.
TURN = 500
#: Time between two clean-ups, seconds.
CLEAN_INTERVAL = 60.0


class Housekeeping:
    """Small regular work beside the connections."""

    def __init__(
        self,
        store: Store,
        monitor: Monitor,
        transport: BrokerTransport,
        fleet: Fleet,
        ledger: Ledger,
    ) -> None:
        self._store = store
        self._monitor = monitor
        self._transport = transport
        self._fleet = fleet
        self._ledger = ledger

    def note_what_was_left(self) -> None:
        """Put down, before anything connects, what became of the states of an earlier worker."""
        if number := in_thread(self._store.facts.note_lost_sessions):
            log.warning("the worker before this one ended without a word", sessions=number)
        in_thread(self._store.facts.note_disabled)

    def write_traffic(self) -> None:
        """Write the counters that moved since last time."""
        self._ledger.gather()
        self._ledger.write()

    def listen(self) -> None:
        """Let each connection notice which expected messages have not come."""
        for manager in in_turns(list(self._monitor.managers.values()), TURN):
            manager.listen()

    def clean(self) -> None:
        """Remove what nobody needs any more."""
        specs = [manager.record.spec for manager in self._monitor.managers.values()]
        self._transport.keep_only({spec.tls for spec in specs if spec and spec.tls})
        self._fleet.keep_only({spec.broker for spec in specs if spec})
        in_thread(self._store.facts.forget_deleted)
        in_thread(self._store.pruning.prune_old)
        in_thread(self._store.pruning.prune_surplus)
        in_thread(self._store.presence.prune_heartbeats)
