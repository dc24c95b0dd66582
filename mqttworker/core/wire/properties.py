"""MQTT 5 properties (section 2.2.2): which there are, where they may be, what they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mqttworker.core import packets
from mqttworker.core.packets import (
    TOPIC_ALIAS_INVALID,
    MalformedPacketError,
    ViolationError,
)
from mqttworker.core.wire import fields

#: The values of a packet's properties by identifier, in the order they came.
Properties = dict[int, list[Any]]

SERVER_REFERENCE = 0x1C
REASON_STRING = 0x1F

_byte = partial(fields.number, size=1)
_two = partial(fields.number, size=2)
_four = partial(fields.number, size=4)


@dataclass(frozen=True, slots=True)
class _Property:
    name: str
    #: Reads the value at a place of the body; returns it and where it ends.
    read: Callable[[bytes, int], tuple[Any, int]]
    #: First bytes of the packets from a broker that may hold it.
    where: frozenset[int]
    #: Raises ViolationError for a value that may not be.
    check: Callable[[str, Any], None] | None = None
    may_repeat: bool = False


def _is_flag(name: str, value: int) -> None:
    if value > 1:
        msg = f"a {name} of {value}"
        raise ViolationError(msg)


def _is_positive(name: str, value: int) -> None:
    if not value:
        msg = f"a {name} of 0"
        raise ViolationError(msg)


def _is_topic_name(name: str, value: str) -> None:
    if not value or "#" in value or "+" in value:
        msg = f"a {name} that is no Topic Name"
        raise ViolationError(msg)


def _is_an_alias(name: str, value: int) -> None:
    # We announce no Topic Alias Maximum: there is none that a broker may use.
    msg = f"a {name} of {value}, where none is allowed"
    raise ViolationError(msg, TOPIC_ALIAS_INVALID)


_CONNACK = frozenset({packets.CONNACK})
_PUBLISH = frozenset({packets.PUBLISH})
#: Where a broker may give a reason in words.
_REASONED = frozenset(packets.NAMES) - {packets.PUBLISH, packets.PINGRESP}
_MOVES = frozenset({packets.CONNACK, packets.DISCONNECT})
_ANY = _REASONED | _PUBLISH

#: Table 2-4, without what only a client may send. What belongs to an authentication
#: that was not asked for is not there either (section 4.12).
_PROPERTIES = {
    0x01: _Property("Payload Format Indicator", _byte, _PUBLISH, _is_flag),
    0x02: _Property("Message Expiry Interval", _four, _PUBLISH),
    0x03: _Property("Content Type", fields.text, _PUBLISH),
    0x08: _Property("Response Topic", fields.text, _PUBLISH, _is_topic_name),
    0x09: _Property("Correlation Data", fields.binary, _PUBLISH),
    0x0B: _Property("Subscription Identifier", fields.variable, _PUBLISH, _is_positive, True),
    0x11: _Property("Session Expiry Interval", _four, _CONNACK),
    0x12: _Property("Assigned Client Identifier", fields.text, _CONNACK),
    0x13: _Property("Server Keep Alive", _two, _CONNACK),
    0x1A: _Property("Response Information", fields.text, _CONNACK),
    SERVER_REFERENCE: _Property("Server Reference", fields.text, _MOVES),
    REASON_STRING: _Property("Reason String", fields.text, _REASONED),
    0x21: _Property("Receive Maximum", _two, _CONNACK, _is_positive),
    0x22: _Property("Topic Alias Maximum", _two, _CONNACK),
    0x23: _Property("Topic Alias", _two, _PUBLISH, _is_an_alias),
    0x24: _Property("Maximum QoS", _byte, _CONNACK, _is_flag),
    0x25: _Property("Retain Available", _byte, _CONNACK, _is_flag),
    0x26: _Property("User Property", fields.pair, _ANY, may_repeat=True),
    0x27: _Property("Maximum Packet Size", _four, _CONNACK, _is_positive),
    0x28: _Property("Wildcard Subscription Available", _byte, _CONNACK, _is_flag),
    0x29: _Property("Subscription Identifier Available", _byte, _CONNACK, _is_flag),
    0x2A: _Property("Shared Subscription Available", _byte, _CONNACK, _is_flag),
}


def read(body: bytes, at: int, kind: int) -> tuple[Properties, int]:
    """Return the properties that begin with their length at `at`, and where they end.

    `kind` is the packet's first byte without flags. Raises ViolationError.
    """
    length, at = fields.variable(body, at)
    end = at + length
    if end > len(body):
        msg = f"properties that end beyond their {packets.NAMES[kind]}"
        raise MalformedPacketError(msg)
    # Cut there, so that no value reads on into what follows.
    block = body[:end]
    found: Properties = {}
    while at < end:
        at = _read_one(block, at, kind, found)
    return found, end


def _read_one(block: bytes, at: int, kind: int, found: Properties) -> int:
    identifier, at = fields.variable(block, at)
    known = _PROPERTIES.get(identifier)
    if known is None or kind not in known.where:
        msg = f"property {identifier:#04x} in a {packets.NAMES[kind]}"
        raise MalformedPacketError(msg)
    value, at = known.read(block, at)
    if known.check is not None:
        known.check(known.name, value)
    if identifier in found and not known.may_repeat:
        msg = f"more than one {known.name}"
        raise ViolationError(msg)
    found.setdefault(identifier, []).append(value)
    return at
