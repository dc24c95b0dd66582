"""Whether what a broker sends fits MQTT and what was said before, packet by packet.

One `Conversation` a network connection: it hears what we send and judges what comes,
before anything acts on it. No I/O; `core.wire` knows the packets.
"""

from __future__ import annotations

from typing import NoReturn

from mqttworker.core import packets
from mqttworker.core.messages import InboundMessage
from mqttworker.core.packets import (
    AUTH,
    CONNACK,
    DISCONNECT,
    PINGRESP,
    PUBACK,
    PUBCOMP,
    PUBLISH,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
    ConnackError,
    ViolationError,
)
from mqttworker.core.receipts import Receipts
from mqttworker.core.wire import bodies

#: Where an outgoing QoS 2 message waits for its PUBCOMP, in `_unacknowledged`.
_RELEASED = PUBCOMP
#: The first byte of a PUBREL.
_PUBREL = PUBREL | 0x02


class Conversation:
    """What is open between us and the broker on one network connection.

    `version` is the one on the wire (5, or 4 for 3.1.1); `receipts` are those of the session.
    """

    def __init__(
        self, version: int, *, clean_start: bool, receipts: Receipts | None = None
    ) -> None:
        self._version = version
        self._clean_start = clean_start
        self.receipts = receipts or Receipts()
        #: Whether the broker had kept our session, once `is_accepted`.
        self.session_present = False
        #: Whether the CONNACK has come and accepts us.
        self.is_accepted = False
        #: The packet that each PUBLISH of ours waits for, by Packet Identifier.
        self._unacknowledged: dict[int, int] = {}
        #: How many Topic Filters each SUBSCRIBE and UNSUBSCRIBE named that is unanswered.
        self._subscribing: dict[int, int] = {}
        self._unsubscribing: dict[int, int] = {}
        #: How many acknowledgements came that nobody waited for.
        self.unasked = 0

    @property
    def may_say_why(self) -> bool:
        """Whether our DISCONNECT holds a reason code."""
        return self._version == bodies.V5

    @property
    def is_unanswered(self) -> bool:
        """Whether the broker still owes an answer to a packet of ours."""
        return bool(self._unacknowledged or self._subscribing or self._unsubscribing)

    # --- what we send

    def published(self, identifier: int, qos: int) -> None:
        """Take note of a PUBLISH of ours with QoS 1 or 2."""
        self._unacknowledged[identifier] = PUBACK if qos == 1 else PUBREC

    def subscribed(self, identifier: int, filters: int) -> None:
        """Take note of a SUBSCRIBE of ours to so many Topic Filters."""
        self._subscribing[identifier] = filters

    def unsubscribed(self, identifier: int, filters: int) -> None:
        """Take note of an UNSUBSCRIBE of ours from so many Topic Filters."""
        self._unsubscribing[identifier] = filters

    def acknowledged(self, first: int, identifier: int, code: int) -> None:
        """Take note of a PUBACK, PUBREC or PUBCOMP of ours."""
        if first == PUBCOMP or (first == PUBREC and code >= bodies.REFUSAL):
            self.receipts.released(identifier)

    # --- what the broker sends

    def receive_message(self, first: int, body: bytes) -> InboundMessage:
        """Judge a PUBLISH and return what it holds. Raises ViolationError."""
        if not self.is_accepted:
            self._refuse_before_connack(PUBLISH)
        return bodies.read_publish(first, body, self._version)

    def receive(self, first: int, body: bytes) -> bool:
        """Judge a packet that is no PUBLISH. Raises ViolationError.

        Returns whether it means anything: an acknowledgement that nobody waits for does
        not, and is counted.
        """
        kind = first & 0xF0
        is_due = True
        if not self.is_accepted:
            self._receive_connack(kind, body)
        elif kind in _ANSWERS:
            is_due = self._receive_answer(kind, body)
        elif kind in {SUBACK, UNSUBACK}:
            is_due = self._receive_codes(kind, body)
        elif kind == PUBREL:
            bodies.check_acknowledgement(kind, body, self._version)
        elif kind == PINGRESP:
            # One that nobody asked for is not forbidden anywhere.
            bodies.check_pingresp(body)
        elif kind == DISCONNECT and self._version == bodies.V5:
            bodies.check_disconnect(body)
        else:
            self._refuse(kind)
        self.unasked += not is_due
        return is_due

    def answer_unasked(self, first: int, body: bytes) -> bytes:
        """Return the packet that answers one that `receive` found nobody waits for, or nothing.

        A PUBREC under an identifier that means nothing to us (5, section 4.3.3): otherwise
        the broker would keep that identifier. 3.1.1 has no word for it.
        """
        is_unknown = int.from_bytes(body[:2], "big") not in self._unacknowledged
        if first != PUBREC or self._version != bodies.V5 or not is_unknown:
            return b""
        return bytes([_PUBREL, 3, *body[:2], packets.PACKET_IDENTIFIER_NOT_FOUND])

    def _receive_connack(self, kind: int, body: bytes) -> None:
        if kind != CONNACK:
            self._refuse_before_connack(kind)
        session_present = self._check_connack(body)
        self.is_accepted = body[1] == 0
        if self.is_accepted:
            self.session_present = session_present
            self.receipts.connected(session_present=session_present)

    def _check_connack(self, body: bytes) -> bool:
        """Return whether a CONNACK says Session Present. Raises ViolationError."""
        try:
            session_present = bodies.check_connack(body, self._version)
        except ViolationError as error:
            if body and body[0] > 1:
                # In no version: whoever says that is no broker, and no other version helps.
                raise
            raise ConnackError(str(error), error.code) from error
        if session_present and self._clean_start:
            msg = "Session Present, although we asked for a clean start"
            raise ConnackError(msg)
        return session_present

    @staticmethod
    def _refuse_before_connack(kind: int) -> NoReturn:
        msg = f"a {packets.NAMES[kind]} in place of the CONNACK"
        raise ViolationError(msg)

    def _receive_answer(self, kind: int, body: bytes) -> bool:
        """Judge a PUBACK, PUBREC or PUBCOMP; return whether it was waited for."""
        identifier = bodies.check_acknowledgement(kind, body, self._version)
        waited_for = self._unacknowledged.get(identifier)
        if waited_for != kind and not self._may_differ(kind, waited_for):
            return False
        refuses = len(body) > 2 and body[2] >= bodies.REFUSAL
        if kind == PUBREC and not refuses:
            self._unacknowledged[identifier] = _RELEASED
        else:
            del self._unacknowledged[identifier]
        return True

    def _may_differ(self, kind: int, waited_for: int | None) -> bool:
        if waited_for == PUBREC:
            # RabbitMQ, which has no QoS 2: it took the message with QoS 1, and that is all.
            return kind == PUBACK
        # 3.1.1 lets a broker send its PUBREC again at any time (section 4.4).
        return kind == PUBREC and waited_for == _RELEASED and self._version != bodies.V5

    def _receive_codes(self, kind: int, body: bytes) -> bool:
        """Judge a SUBACK or UNSUBACK; return whether it was waited for."""
        check = bodies.check_suback if kind == SUBACK else bodies.check_unsuback
        waiting = self._subscribing if kind == SUBACK else self._unsubscribing
        identifier, codes = check(body, self._version)
        filters = waiting.pop(identifier, None)
        if filters is None:
            return False
        has_codes = kind == SUBACK or self._version == bodies.V5
        if has_codes and codes != filters:
            msg = f"a {packets.NAMES[kind]} with {codes} codes for {filters} Topic Filters"
            raise ViolationError(msg)
        return True

    @staticmethod
    def _refuse(kind: int) -> NoReturn:
        if kind == CONNACK:
            msg = "a second CONNACK"
        elif kind == AUTH:
            msg = "an AUTH that nobody asked for"
        else:
            msg = f"a {packets.NAMES[kind]}, which only a client may send"
        raise ViolationError(msg)


#: What answers a PUBLISH of ours, at once or at last.
_ANSWERS = frozenset({PUBACK, PUBREC, PUBCOMP})
