"""Keeps the status topic true while a session stands, and notices a broker that does not take it.

MQTT 5 answers a PUBLISH that it does not take with a Reason Code. A PUBACK of 3.1.1 cannot
refuse, and QoS 0 has none: there `online` has to come back to us, if we may read the topic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from database.words import Certainty
from mqttworker.core import events
from mqttworker.core.cause import Cause, cause
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import Session, status_message
from mqttworker.service.context import Clock

log = structlog.get_logger(__name__)

#: A broker that ends publishes our will while it closes us; that corrects itself, seconds.
CORRECTION_DELAY = 0.5
#: Least time between two corrections of the status topic, seconds.
CORRECTION_GAP = 5.0
#: Two records can share a status topic and correct each other: told so often, seconds.
TELL_AGAIN = 600.0
#: Where the broker does not take `online` it is published again so often, seconds.
TRY_AGAIN = 60.0
#: How long `online` may take to come back to us, seconds.
PATIENCE = 10.0

#: Why a message was not even written: that passes.
_NOT_NOW = frozenset({"write_blocked", "outbound_queue_full"})


class StatusTopic:
    """The status topic of one connection, over all of its sessions."""

    __slots__ = (
        "_answer_is_certain",
        "_clock",
        "_correct_at",
        "_corrected_at",
        "_has_come_back",
        "_is_refused",
        "_look_at",
        "_name",
        "_post",
        "_session",
        "_spec",
        "_told_at",
        "is_readable",
    )

    def __init__(self, name: str, clock: Clock, post: Callable[[events.Event], object]) -> None:
        self._name = name
        self._clock = clock
        self._post = post
        self._corrected_at = float("-inf")
        self._told_at = float("-inf")
        self._spec: ConnectionSpec | None = None
        #: Set while a session stands.
        self._session: Session | None = None
        #: When the topic is corrected, and when `online` must have come back.
        self._correct_at: float | None = None
        self._look_at: float | None = None
        #: Whether the broker can say no to a PUBLISH.
        self._answer_is_certain = False
        self._is_refused = False
        #: Whether the broker has handed our `online` on to us.
        self._has_come_back = False
        #: Whether what is published there reaches us.
        self.is_readable = False

    def begin(self, session: Session, spec: ConnectionSpec, *, is_readable: bool) -> None:
        """Look after the topic while `session` stands."""
        self._session, self._spec, self.is_readable = session, spec, is_readable

    def end(self) -> None:
        """Forget the session."""
        self._session = self._correct_at = self._look_at = None
        self._is_refused = self._has_come_back = self._answer_is_certain = False

    @property
    def due_at(self) -> float | None:
        """When `tick` has something to do, None while it has not."""
        moments = [moment for moment in (self._correct_at, self._look_at) if moment is not None]
        return min(moments, default=None)

    def published(self, event: events.Greeted) -> None:
        """Judge what the broker answered to `online`."""
        self._answer_is_certain = event.is_certain
        if event.refused is not None:
            self._refused(event.refused)
        elif not event.is_certain:
            self.expect_by(self._clock.now() + PATIENCE)

    def expect_by(self, moment: float) -> None:
        """Look at that moment whether `online`, which was published, has come back."""
        if not self._has_come_back and not self._is_refused:
            self._look_at = moment

    def take(self, message: InboundMessage, *, is_greeting: bool) -> None:
        """Note a message on the topic; called on the loop."""
        if self._session is None or self._spec is None:
            return
        if message.payload == self._spec.online_payload.encode():
            if not message.retain:
                self._came_back()
        elif not is_greeting and self._correct_at is None:
            # Before we are greeted, `online` is still on its way.
            earliest = self._clock.now() + CORRECTION_DELAY
            self._correct_at = max(earliest, self._corrected_at + CORRECTION_GAP)
            self._post(events.Due())

    def tick(self, now: float, deaf_at: float) -> events.Event:
        """Do what is due; return what it means for the life, Due if nothing."""
        if self._correct_at is not None and now >= self._correct_at:
            self._correct(now)
        if self._look_at is None or now < self._look_at:
            return events.Due()
        if deaf_at >= self._look_at - PATIENCE:
            # It could not have been heard.
            self._look_at = now + PATIENCE
            return events.Due()
        self._look_at = None
        if not self.is_readable:
            return events.Due()
        self._is_refused = True
        self._correct_at = now + TRY_AGAIN
        silent = cause("status_refused", topic=self._topic, seconds=int(PATIENCE))
        return events.Impaired(replace(silent, certainty=Certainty.INFERRED))

    @property
    def _topic(self) -> str:
        return self._spec.status_topic if self._spec is not None else ""

    def _came_back(self) -> None:
        """Note that the broker hands on our `online`."""
        self._has_come_back, self._look_at = True, None
        if not self._answer_is_certain:
            self._accepted()

    def _accepted(self) -> None:
        if self._is_refused:
            self._is_refused, self._correct_at = False, None
            self._post(events.Recovered(cause("status_accepted")))

    def _refused(self, why: Cause) -> None:
        if why.code == "not_connected":
            return
        if why.code in _NOT_NOW:
            self._correct_at = self._clock.now() + CORRECTION_GAP
            return
        self._is_refused, self._look_at = True, None
        self._correct_at = self._clock.now() + TRY_AGAIN
        refused = cause("status_refused", raw_code=why.raw_code, topic=self._topic)
        self._post(events.Impaired(refused))

    def _correct(self, now: float) -> None:
        self._correct_at, self._corrected_at = None, now
        if self._session is None or self._spec is None:
            return
        if not self._is_refused:
            self._tell_correction(now)
        elif not self._answer_is_certain:
            self._correct_at = now + TRY_AGAIN
        most = self._session.terms.maximum_qos
        message = status_message(self._spec, self._spec.online_payload, most)
        self._session.publish(message, self._corrected)

    def _corrected(self, refused: Cause | None) -> None:
        if refused is not None:
            self._refused(refused)
        elif self._answer_is_certain:
            self._accepted()

    def _tell_correction(self, now: float) -> None:
        if now - self._told_at >= TELL_AGAIN:
            self._told_at = now
            log.info("the status topic was wrong, corrected", connection=self._name)
