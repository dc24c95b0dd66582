"""MQTT 3.1.1 and 5 packets as a broker sends them; `packet_reader` reads what clients send.

Own code on purpose: the tests must not judge a client with the client's own codec.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum

V311, V5 = 4, 5  # the Protocol Level byte of CONNECT


class PacketType(IntEnum):
    """MQTT Control Packet types (section 2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet as it came: type, flags of the first byte, everything after the length."""

    type: PacketType
    flags: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Will:
    """The Will Message of a CONNECT."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(frozen=True, slots=True)
class Connect:
    """What a CONNECT says."""

    version: int
    client_id: str
    #: Clean Start (5) or Clean Session (3.1.1).
    clean_start: bool
    keepalive: int  # seconds
    username: str | None
    password: bytes | None
    will: Will | None
    #: MQTT 5 properties by identifier; only those with one number or text.
    properties: dict[int, int | bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Publish:
    """What a PUBLISH says."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    packet_id: int | None
    #: MQTT 5 properties as they came, without their length.
    properties: bytes = b""


def remaining_length(size: int) -> bytes:
    """Return `size` as a Variable Byte Integer (5, section 1.5.5)."""
    result = bytearray()
    while True:
        size, digit = divmod(size, 128)
        result.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(result)


def packet(kind: PacketType, body: bytes = b"", flags: int = 0) -> bytes:
    """Return a whole packet."""
    return bytes([kind << 4 | flags]) + remaining_length(len(body)) + body


def text(value: str) -> bytes:
    """Return a UTF-8 string with its two-byte length."""
    encoded = value.encode("utf-8")
    return struct.pack("!H", len(encoded)) + encoded


def connack(version: int, code: int = 0, properties: bytes = b"") -> bytes:
    """Return a CONNACK without a session."""
    tail = remaining_length(len(properties)) + properties if version == V5 else b""
    return packet(PacketType.CONNACK, bytes([0, code]) + tail)


def suback(version: int, packet_id: int, codes: list[int]) -> bytes:
    """Return a SUBACK with one code a Topic Filter."""
    properties = b"\0" if version == V5 else b""
    body = struct.pack("!H", packet_id) + properties + bytes(codes)
    return packet(PacketType.SUBACK, body)


def acknowledgement(
    kind: PacketType, packet_id: int, code: int | None = None, properties: bytes = b""
) -> bytes:
    """Return a PUBACK, PUBREC, PUBREL or PUBCOMP: success, or MQTT 5 with a Reason Code.

    `properties` come with their length.
    """
    flags = 0b0010 if kind is PacketType.PUBREL else 0
    tail = b"" if code is None else bytes([code]) + properties
    return packet(kind, struct.pack("!H", packet_id) + tail, flags)


def disconnect(code: int) -> bytes:
    """Return an MQTT 5 DISCONNECT with a Reason Code."""
    return packet(PacketType.DISCONNECT, bytes([code, 0]))


def publish(
    version: int,
    topic: str,
    payload: bytes,
    *,
    qos: int = 0,
    packet_id: int = 1,
    retain: bool = False,
) -> bytes:
    """Return a PUBLISH."""
    identifier = struct.pack("!H", packet_id) if qos else b""
    properties = b"\0" if version == V5 else b""
    body = text(topic) + identifier + properties + payload
    return packet(PacketType.PUBLISH, body, qos << 1 | retain)
