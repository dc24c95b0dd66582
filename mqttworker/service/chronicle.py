"""What is written down about one connection: its state with wall-clock times, its events."""

from __future__ import annotations

from datetime import datetime

from database.words import DOWN_STATES, ConnectionState
from mqttworker.core.cause import completed
from mqttworker.core.fallback import Fallback
from mqttworker.core.life import Life
from mqttworker.core.spec import ConnectionSpec, Record
from mqttworker.ports.journal import Status, Traffic, Transition
from mqttworker.ports.transport import Terms
from mqttworker.service.context import Clock


class Chronicle:
    """Follows a life and puts its monotonic moments into wall-clock times, once each."""

    __slots__ = (
        "_clock",
        "_connected_since",
        "_down_since",
        "_since",
        "_was_connected",
        "fallback",
        "protocol",
        "terms",
    )

    def __init__(self, clock: Clock, fallback: Fallback | None = None) -> None:
        self._clock = clock
        #: The broker that `auto` found to want MQTT 3.1.1.
        self.fallback = fallback
        self._since = clock.wall()
        self._connected_since: datetime | None = None
        self._down_since: datetime | None = None
        self._was_connected = False
        #: The MQTT version that was agreed on.
        self.protocol: str | None = None
        self.terms = Terms()

    def follow(self, before: Life, after: Life) -> None:
        """Fix the wall-clock times of a change, so that they never drift."""
        if after.since != before.since:
            self._since = self._clock.wall(after.since)
        if after.connected_at != before.connected_at:
            self._connected_since = self._clock.wall(after.connected_at) if after.is_up else None
        self._was_connected = self._was_connected or after.is_up
        if after.is_up or after.state is ConnectionState.DISABLED:
            self._down_since = None
        elif after.down_since not in (None, before.down_since) and self._down_since is None:
            # A life that an edit began anew knows nothing of the time before.
            self._down_since = self._clock.wall(after.down_since)

    def transition(
        self, record: Record, before: Life, after: Life, *, is_shared: bool
    ) -> Transition:
        """Return the event that led from `before` to `after`."""
        return Transition(
            connection_id=record.connection_id,
            at=self._clock.wall(),
            state=after.state,
            previous_state=before.state,
            why=completed(after.why, _known(record.spec)),
            is_shared=is_shared,
            is_repetition=_repeats(before, after),
        )

    def status(self, record: Record, life: Life, traffic: Traffic) -> Status:
        """Return the whole state as it is now."""
        spec = record.spec
        due = life.next_attempt_at
        certificate = self.terms.certificate
        return Status(
            connection_id=record.connection_id,
            state=life.state,
            why=completed(life.why, _known(spec)),
            since=self._since,
            attempt=life.attempt,
            connected_since=self._connected_since,
            down_since=self._down_since,
            was_connected=self._was_connected,
            next_attempt_at=self._clock.wall(due) if due else None,
            client_id=spec.client_id if spec else None,
            status_topic=spec.status_topic if spec else None,
            protocol_negotiated=self.protocol,
            version_fallback=self.fallback,
            keepalive_s=self.terms.keepalive_s or None,
            session_present=self.terms.session_present if life.is_up else None,
            broker_cert_subject=certificate.subject if certificate else None,
            broker_cert_expires_at=certificate.expires_at if certificate else None,
            verified_chain=" ".join(certificate.verified_chain) or None if certificate else None,
            applied_revision=record.revision,
            traffic=traffic,
        )


def _repeats(before: Life, after: Life) -> bool:
    """Return whether `after` is another try that ended as `before` did, with no session between."""
    are_tries = before.state in DOWN_STATES and after.state in DOWN_STATES
    return are_tries and before.why.code == after.why.code


def _known(spec: ConnectionSpec | None) -> dict[str, object]:
    """Return what a sentence may name that the failure itself did not say."""
    if spec is None:
        return {}
    return {"host": spec.host, "port": spec.port, "client_id": spec.client_id}
