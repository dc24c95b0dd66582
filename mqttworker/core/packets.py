"""The fixed header of MQTT packets: how long the next one is, and whether it may be.

Looked at before anything is buffered, so that an announced giant costs nothing
(MQTT 5 and 3.1.1, section 2.1). What a packet holds is looked at in `core.wire`.
"""

from __future__ import annotations

from typing import NamedTuple

#: Longest Remaining Length field, bytes.
MAX_LENGTH_BYTES = 4
#: Packet Identifiers are 1 to this.
MAX_PACKET_ID = 65_535
#: Longest packet that the Remaining Length allows, bytes, with its header.
MAX_PACKET_SIZE = 268_435_460

CONNACK = 0x20
PUBLISH = 0x30
PUBACK = 0x40
PUBREC = 0x50
PUBREL = 0x60
PUBCOMP = 0x70
SUBACK = 0x90
UNSUBACK = 0xB0
PINGRESP = 0xD0
DISCONNECT = 0xE0
AUTH = 0xF0

#: Packets that only a client may send (CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ).
CLIENT_ONLY = frozenset({0x10, 0x80, 0xA0, 0xC0})

#: How packets are called in reasons, by the first byte without its flags.
NAMES = {
    CONNACK: "CONNACK",
    PUBLISH: "PUBLISH",
    PUBACK: "PUBACK",
    PUBREC: "PUBREC",
    PUBREL: "PUBREL",
    PUBCOMP: "PUBCOMP",
    SUBACK: "SUBACK",
    UNSUBACK: "UNSUBACK",
    PINGRESP: "PINGRESP",
    DISCONNECT: "DISCONNECT",
    AUTH: "AUTH",
}

# Reason codes that a client may say DISCONNECT with (5, section 3.14.2.1).
MALFORMED_PACKET = 0x81
PROTOCOL_ERROR = 0x82
TOPIC_NAME_INVALID = 0x90
# Of a PUBREL or PUBCOMP for a message that is not known (5, sections 3.6.2.1 and 3.7.2.1).
PACKET_IDENTIFIER_NOT_FOUND = 0x92
TOPIC_ALIAS_INVALID = 0x94
PACKET_TOO_LARGE = 0x95


class ViolationError(ValueError):
    """The broker broke the protocol; `code` is what MQTT 5 says in the DISCONNECT.

    The message says what was wrong and holds nothing that the broker sent but numbers.
    """

    code = PROTOCOL_ERROR

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code


class MalformedPacketError(ViolationError):
    """The broker sent something that is no MQTT packet."""

    code = MALFORMED_PACKET


class ConnackError(ViolationError):
    """A CONNACK that is none of the MQTT version that we asked for."""


class PacketTooLargeError(ViolationError):
    """The broker announced a packet above the limit."""

    code = PACKET_TOO_LARGE

    def __init__(self, size: int) -> None:
        super().__init__(f"a packet of {size} bytes")
        self.size = size


class Frame(NamedTuple):
    """Where one packet lies in a buffer: `first` byte, body from `start` to `end`."""

    first: int
    start: int
    end: int


def next_frame(data: bytes | bytearray, at: int, limit: int) -> Frame | None:
    """Return the packet that begins at `at`, None while its header is incomplete.

    The frame may end beyond what has arrived. `limit` bounds the Remaining Length.
    Raises ViolationError.
    """
    if at + 1 < len(data):
        # At once: whoever sends no MQTT may never send a whole header either.
        check_first_byte(data[at])
    length = 0
    for index in range(MAX_LENGTH_BYTES):
        position = at + 1 + index
        if position >= len(data):
            return None
        byte = data[position]
        length |= (byte & 0x7F) << (7 * index)
        if length > limit:
            raise PacketTooLargeError(length)
        if not byte & 0x80:
            if index and not byte:
                msg = "the Remaining Length takes more bytes than it needs"
                raise MalformedPacketError(msg)
            return Frame(data[at], position + 1, position + 1 + length)
    msg = "the Remaining Length takes more than four bytes"
    raise MalformedPacketError(msg)


def check_first_byte(first: int) -> None:
    """Check packet type and flags (section 2.1.2, 2.1.3). Raises ViolationError."""
    kind, flags = first & 0xF0, first & 0x0F
    if kind == PUBLISH:
        if flags & 0x06 == 0x06:
            msg = "a PUBLISH with QoS 3"
            raise MalformedPacketError(msg)
    elif kind not in NAMES:
        _refuse_type(kind, flags)
    elif flags != (0x02 if kind == PUBREL else 0):
        msg = f"reserved flags {flags:#x} in a {NAMES[kind]}"
        raise MalformedPacketError(msg)


def _refuse_type(kind: int, flags: int) -> None:
    msg = f"packet type {kind >> 4} must not come from a broker"
    if kind == 0 or flags != (0x02 if kind in {0x80, 0xA0} else 0):
        raise MalformedPacketError(msg)
    raise ViolationError(msg)
