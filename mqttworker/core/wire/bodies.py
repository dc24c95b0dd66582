"""What follows the fixed header, for each packet that a broker may send.

Every function takes the body and the version on the wire (5, or 4 for 3.1.1) and
raises ViolationError for what chapter 3 of that version does not allow.
"""

from __future__ import annotations

from mqttworker.core import packets
from mqttworker.core.messages import InboundMessage
from mqttworker.core.packets import (
    CONNACK,
    DISCONNECT,
    NAMES,
    PUBACK,
    PUBCOMP,
    PUBREC,
    PUBREL,
    SUBACK,
    UNSUBACK,
    MalformedPacketError,
    ViolationError,
)
from mqttworker.core.wire import fields, properties

#: The Protocol Level byte of MQTT 5.
V5 = 5
#: Flags of a PUBLISH: sent again, the two bits of the QoS, retained.
DUP, QOS, RETAIN = 0x08, 0x06, 0x01

#: From here on a reason code refuses or ends something.
REFUSAL = 0x80
#: CONNACK return codes of 3.1.1 that refuse; brokers without MQTT 5 say them to MQTT 5 too.
OLD_REFUSALS = range(1, 6)

_PUBLISH_CODES = frozenset({0, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
#: Reason codes of MQTT 5 by packet. Whatever refuses in a CONNACK or DISCONNECT is let
#: through, listed there or not: it ends the session, and tells the operator more than we.
_CODES = {
    CONNACK: frozenset({0, *OLD_REFUSALS, *range(REFUSAL, 256)}),
    PUBACK: _PUBLISH_CODES,
    PUBREC: _PUBLISH_CODES,
    PUBREL: frozenset({0, 0x92}),
    PUBCOMP: frozenset({0, 0x92}),
    SUBACK: frozenset({0, 1, 2, 0x80, 0x83, 0x87, 0x8F, 0x91, 0x97, 0x9E, 0xA1, 0xA2}),
    UNSUBACK: frozenset({0, 0x11, 0x80, 0x83, 0x87, 0x8F, 0x91}),
    DISCONNECT: frozenset({0, *range(REFUSAL, 256)}),
}
#: Return codes of 3.1.1 in a SUBACK (section 3.9.3).
_SUBACK_CODES_311 = frozenset({0, 1, 2, REFUSAL})


class IllegalTopicError(ViolationError):
    """A PUBLISH whose Topic Name is none; `message` holds it with undecodable bytes escaped."""

    def __init__(self, flaw: ViolationError, message: InboundMessage) -> None:
        super().__init__(str(flaw), flaw.code)
        self.message = message


def read_publish(first: int, body: bytes, version: int) -> InboundMessage:
    """Check a PUBLISH and return what it holds (section 3.3).

    In one piece, because every message goes through here. A Topic Name that is no text for
    MQTT is a violation like others, but the rest of the packet is known then: it comes with
    the error, as `IllegalTopicError.message`.
    """
    size = len(body)
    if size < 2:
        msg = "a PUBLISH without Topic Name"
        raise MalformedPacketError(msg)
    at = 2 + (body[0] << 8 | body[1])
    if at > size:
        msg = "a Topic Name that ends beyond its PUBLISH"
        raise MalformedPacketError(msg)
    name = body[2:at]
    identifier = 0
    if first & QOS:
        identifier, at = _packet_identifier(packets.PUBLISH, body, at)
    elif first & DUP:
        msg = "DUP with QoS 0"
        raise ViolationError(msg)
    found = b""
    if version == V5:
        if at < size and not body[at]:
            at += 1
        else:
            _, start = fields.variable(body, at)
            _, at = properties.read(body, at, packets.PUBLISH)
            found = body[start:at]
    # After the properties: with an empty name a Topic Alias would be the worse offence.
    topic, flaw = _topic_name(name)
    message = InboundMessage(
        topic,
        body[at:],
        (first & QOS) >> 1,
        bool(first & RETAIN),
        bool(first & DUP),
        identifier,
        found,
        str(flaw) if flaw else "",
    )
    if flaw is not None:
        raise IllegalTopicError(flaw, message)
    return message


def _topic_name(name: bytes) -> tuple[str, ViolationError | None]:
    """Return a Topic Name as text, and what is wrong with it, None if nothing is."""
    if not name:
        return "", ViolationError("a PUBLISH with an empty Topic Name")
    try:
        return fields.topic_name(name), None
    except ViolationError as error:
        return name.decode(errors="surrogateescape"), error


def check_connack(body: bytes, version: int) -> bool:
    """Check a CONNACK; return whether it says Session Present (section 3.2)."""
    is_old = len(body) == 2 and body[1] in OLD_REFUSALS
    if len(body) < 3 if version == V5 and not is_old else len(body) != 2:
        msg = f"a CONNACK of {len(body)} bytes"
        raise MalformedPacketError(msg)
    session_present, code = body[0], body[1]
    if session_present > 1:
        msg = f"reserved flags {session_present:#x} in the CONNACK"
        raise MalformedPacketError(msg)
    if session_present and code:
        msg = "a CONNACK that refuses and says Session Present"
        raise ViolationError(msg)
    if version == V5 and not is_old:
        _check_codes(CONNACK, body[1:2], _CODES[CONNACK])
        _check_properties(CONNACK, body, 2)
    return bool(session_present)


def check_acknowledgement(kind: int, body: bytes, version: int) -> int:
    """Check a PUBACK, PUBREC, PUBREL or PUBCOMP; return its Packet Identifier (3.4 to 3.7)."""
    identifier, at = _packet_identifier(kind, body, 0)
    if version != V5:
        _check_end(kind, body, at)
    elif len(body) > 2:
        _check_codes(kind, body[2:3], _CODES[kind])
        if len(body) > 3:
            _check_properties(kind, body, 3)
    return identifier


def check_suback(body: bytes, version: int) -> tuple[int, int]:
    """Check a SUBACK; return its Packet Identifier and how many codes it holds (3.9)."""
    identifier, at = _packet_identifier(SUBACK, body, 0)
    allowed = _SUBACK_CODES_311
    if version == V5:
        _, at = properties.read(body, at, SUBACK)
        allowed = _CODES[SUBACK]
    _check_codes(SUBACK, body[at:], allowed)
    return identifier, len(body) - at


def check_unsuback(body: bytes, version: int) -> tuple[int, int]:
    """Check an UNSUBACK; return its Packet Identifier and how many codes it holds (3.11)."""
    identifier, at = _packet_identifier(UNSUBACK, body, 0)
    if version == V5:
        _, at = properties.read(body, at, UNSUBACK)
        _check_codes(UNSUBACK, body[at:], _CODES[UNSUBACK])
    else:
        _check_end(UNSUBACK, body, at)
    return identifier, len(body) - at


def check_disconnect(body: bytes) -> None:
    """Check a DISCONNECT of MQTT 5 (section 3.14)."""
    _check_codes(DISCONNECT, body[:1], _CODES[DISCONNECT])
    if len(body) > 1:
        _check_properties(DISCONNECT, body, 1)


def check_pingresp(body: bytes) -> None:
    """Check a PINGRESP (section 3.13)."""
    _check_end(packets.PINGRESP, body, 0)


def _packet_identifier(kind: int, body: bytes, at: int) -> tuple[int, int]:
    """Return the Packet Identifier at `at` and where it ends (section 2.2.1)."""
    identifier, end = fields.number(body, at, 2)
    if not identifier:
        msg = f"Packet Identifier 0 in a {NAMES[kind]}"
        raise ViolationError(msg)
    return identifier, end


def _check_codes(kind: int, codes: bytes, allowed: frozenset[int]) -> None:
    for code in codes:
        if code not in allowed:
            msg = f"code {code:#04x} in a {NAMES[kind]}"
            raise ViolationError(msg)


def _check_properties(kind: int, body: bytes, at: int) -> None:
    """Check properties that fill the rest of the packet."""
    _, end = properties.read(body, at, kind)
    _check_end(kind, body, end)


def _check_end(kind: int, body: bytes, end: int) -> None:
    if len(body) > end:
        msg = f"{len(body) - end} bytes too many in a {NAMES[kind]}"
        raise MalformedPacketError(msg)
