"""MQTT 3.1.1 and 5 packets as clients send them."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.packets import V5, Connect, Packet, PacketType, Publish, Will


def read_packet(receive: Callable[[int], bytes]) -> Packet:
    """Read one packet; `receive(n)` returns exactly n bytes or raises EOFError."""
    first = receive(1)[0]
    return Packet(PacketType(first >> 4), first & 0x0F, receive(_read_length(receive)))


def _read_length(receive: Callable[[int], bytes]) -> int:
    size = 0
    for shift in (0, 7, 14, 21):
        digit = receive(1)[0]
        size |= (digit & 0x7F) << shift
        if not digit & 0x80:
            return size
    msg = "a Remaining Length of more than four bytes"
    raise ValueError(msg)


class _Reader:
    """Takes fields off the front of a packet body."""

    def __init__(self, body: bytes) -> None:
        self._rest = body

    def take(self, size: int) -> bytes:
        if len(self._rest) < size:
            msg = "the packet ends too early"
            raise ValueError(msg)
        result, self._rest = self._rest[:size], self._rest[size:]
        return result

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def data(self) -> bytes:
        return self.take(self.number(2))

    def string(self) -> str:
        return self.data().decode("utf-8")

    def length(self) -> int:
        return _read_length(self.take)

    def rest(self) -> bytes:
        return self.take(len(self._rest))

    def __bool__(self) -> bool:
        return bool(self._rest)


#: Sizes of the number properties (5, section 2.2.2.2); the others are text or data.
_NUMBER_PROPERTIES = {
    0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2, 0x22: 2,
    0x23: 2, 0x24: 1, 0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip
_USER_PROPERTY = 0x26
_SUBSCRIPTION_IDENTIFIER = 0x0B


def _properties(reader: _Reader) -> dict[int, int | bytes]:
    inner = _Reader(reader.take(reader.length()))
    found: dict[int, int | bytes] = {}
    while inner:
        identifier = inner.number(1)
        if size := _NUMBER_PROPERTIES.get(identifier):
            found[identifier] = inner.number(size)
        elif identifier == _SUBSCRIPTION_IDENTIFIER:
            found[identifier] = inner.length()
        else:
            found[identifier] = inner.data()
            if identifier == _USER_PROPERTY:
                inner.data()
    return found


def parse_connect(body: bytes) -> Connect:
    """Return what a CONNECT says. Raises ValueError if it is malformed."""
    reader = _Reader(body)
    if reader.string() != "MQTT":
        msg = "the Protocol Name is not MQTT"
        raise ValueError(msg)
    version, flags, keepalive = reader.number(1), reader.number(1), reader.number(2)
    properties = _properties(reader) if version == V5 else {}
    # The arguments are in the order of the packet: each takes its field off the reader.
    result = Connect(
        version=version,
        clean_start=bool(flags & 0x02),
        keepalive=keepalive,
        properties=properties,
        client_id=reader.string(),
        will=_will(reader, version, flags) if flags & 0x04 else None,
        username=reader.string() if flags & 0x80 else None,
        password=reader.data() if flags & 0x40 else None,
    )
    if reader:
        msg = "the CONNECT holds more than it says"
        raise ValueError(msg)
    return result


def _will(reader: _Reader, version: int, flags: int) -> Will:
    if version == V5:
        _properties(reader)
    return Will(reader.string(), reader.data(), flags >> 3 & 0x03, bool(flags & 0x20))


def parse_publish(version: int, received: Packet) -> Publish:
    """Return what a PUBLISH says."""
    reader = _Reader(received.body)
    qos = received.flags >> 1 & 0x03
    topic = reader.string()
    packet_id = reader.number(2) if qos else None
    properties = reader.take(reader.length()) if version == V5 else b""
    retain, dup = bool(received.flags & 1), bool(received.flags & 8)
    return Publish(topic, reader.rest(), qos, retain, dup, packet_id, properties)


def parse_subscribe(version: int, body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """Return the Packet Identifier and the (Topic Filter, options) pairs of a SUBSCRIBE."""
    reader = _Reader(body)
    packet_id = reader.number(2)
    if version == V5:
        _properties(reader)
    filters = []
    while reader:
        filters.append((reader.string(), reader.number(1)))
    return packet_id, filters


def packet_id_of(received: Packet) -> int:
    """Return the Packet Identifier of an acknowledgement."""
    return int.from_bytes(received.body[:2], "big")


def disconnect_code(received: Packet) -> int:
    """Return the Reason Code of a DISCONNECT, 0 where none is written."""
    return received.body[0] if received.body else 0


def reason_code(received: Packet) -> int:
    """Return the Reason Code of an acknowledgement, 0 where none is written."""
    return received.body[2] if len(received.body) > 2 else 0
