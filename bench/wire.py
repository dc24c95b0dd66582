"""As much of MQTT 3.1.1 and 5 as the benchmarks speak by themselves."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

V311, V5 = 4, 5
#: Packet types, as they stand in the upper half of the first byte (section 2.1.2).
CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = range(1, 8)
SUBSCRIBE, SUBACK = 8, 9
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14
#: The flag of a PUBLISH that was sent before.
DUP = 0x08


def length(size: int) -> bytes:
    """Return `size` as a Variable Byte Integer (5, section 1.5.5)."""
    digits = bytearray()
    while size > 127:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*digits, size])


def packet(kind: int, body: bytes = b"", flags: int = 0) -> bytes:
    """Return a whole packet."""
    return bytes([kind << 4 | flags]) + length(len(body)) + body


def text(value: str) -> bytes:
    """Return a UTF-8 string with its two-byte length."""
    encoded = value.encode()
    return struct.pack("!H", len(encoded)) + encoded


def connect(client_id: str, *, clean: bool = True) -> bytes:
    """Return a CONNECT of MQTT 3.1.1 without a Keep Alive."""
    return packet(CONNECT, text("MQTT") + struct.pack("!BBH", V311, 2 * clean, 0) + text(client_id))


def subscribe(topic_filter: str, qos: int = 0) -> bytes:
    """Return a SUBSCRIBE of MQTT 3.1.1."""
    return packet(SUBSCRIBE, b"\0\1" + text(topic_filter) + bytes([qos]), 2)


def publish_head(topic: str, payload_size: int, qos: int, version: int = V311) -> bytes:
    """Return a PUBLISH up to its topic: Packet Identifier, properties and payload follow."""
    name = text(topic)
    rest = (2 if qos else 0) + (1 if version == V5 else 0) + payload_size
    return bytes([PUBLISH << 4 | qos << 1]) + length(len(name) + rest) + name


@dataclass(frozen=True, slots=True)
class Publish:
    """What matters of a PUBLISH."""

    topic: bytes
    packet_id: int | None
    is_dup: bool
    payload: bytes


def parse_publish(first: int, body: bytes, version: int) -> Publish:
    """Return what a PUBLISH with the first byte `first` says."""
    at = 2 + int.from_bytes(body[:2], "big")
    topic, packet_id = body[2:at], None
    if first & 0x06:
        packet_id = int.from_bytes(body[at : at + 2], "big")
        at += 2
    if version == V5:
        size, at = _length_at(body, at)
        at += size
    return Publish(topic, packet_id, bool(first & DUP), body[at:])


class Splitter:
    """Cuts a stream of bytes into packets."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes, bytes]]:
        """Yield the first byte, the body, and the whole, of every packet that is complete."""
        data = self._rest + data
        start, end = 0, len(data)
        while True:
            try:
                size, body = _length_at(data, start + 1)
            except IndexError:
                break
            if body + size > end:
                break
            yield data[start], data[body : body + size], data[start : body + size]
            start = body + size
        self._rest = data[start:]


def _length_at(data: bytes, at: int) -> tuple[int, int]:
    """Return the Variable Byte Integer that begins at `at`, and where it ends."""
    size = shift = 0
    while True:
        digit = data[at]
        size |= (digit & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if digit < 128:
            return size, at
