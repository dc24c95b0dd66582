"""The fixed header of MQTT packets: how long the next one is, and whether it may be.

Looked at before anything is buffered, so that an announced giant costs nothing
(MQTT 5 and 3.1.1, section 2.1).
"""

from __future__ import annotations

from dataclasses import dataclass

#: Longest Remaining Length field, bytes.
MAX_LENGTH_BYTES = 4
#: Packet Identifiers are 1 to this.
MAX_PACKET_ID = 65_535

CONNACK = 0x20
PUBLISH = 0x30
PUBREL = 0x60
DISCONNECT = 0xE0
AUTH = 0xF0

#: Packets that only a client may send (CONNECT, SUBSCRIBE, UNSUBSCRIBE, PINGREQ).
CLIENT_ONLY = frozenset({0x10, 0x80, 0xA0, 0xC0})


class MalformedPacketError(ValueError):
    """The broker sent something that is no MQTT packet."""


class PacketTooLargeError(ValueError):
    """The broker announced a packet above the limit."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


@dataclass(frozen=True, slots=True)
class Frame:
    """Where one packet lies in a buffer: `first` byte, body from `start` to `end`."""

    first: int
    start: int
    end: int


def next_frame(data: bytes | bytearray, at: int, limit: int) -> Frame | None:
    """Return the packet that begins at `at`, None while its header is incomplete.

    The frame may end beyond what has arrived. `limit` bounds the Remaining Length.
    Raises MalformedPacketError and PacketTooLargeError.
    """
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
            check_first_byte(data[at])
            return Frame(data[at], position + 1, position + 1 + length)
    msg = "Remaining Length takes more than four bytes"
    raise MalformedPacketError(msg)


def check_first_byte(first: int) -> None:
    """Check packet type and flags (section 2.1.2, 2.1.3). Raises MalformedPacketError."""
    kind, flags = first & 0xF0, first & 0x0F
    if kind == 0 or kind in CLIENT_ONLY:
        msg = f"packet type {kind >> 4} must not come from a broker"
        raise MalformedPacketError(msg)
    if kind == PUBLISH:
        if flags & 0x06 == 0x06:
            msg = "QoS 3"
            raise MalformedPacketError(msg)
    elif flags != (0x02 if kind == PUBREL else 0):
        msg = f"reserved flags {flags:#x} in packet type {kind >> 4}"
        raise MalformedPacketError(msg)
