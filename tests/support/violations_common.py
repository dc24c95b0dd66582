"""What a broker of either version must not send, from the chapters of MQTT 3.1.1 and 5."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support import packets
from tests.support.packets import V5, V311, PacketType, packet
from tests.support.violation import (
    EITHER,
    FIRST,
    MALFORMED,
    TOPIC_NAME,
    UNKNOWN,
    WRONG,
    Case,
    Moment,
)

_ILL_FORMED = {
    "a lone continuation byte": b"\x80",
    "a cut sequence": b"\xc3",
    "an overlong slash": b"\xc0\xaf",
    "an overlong null": b"\xc0\x80",
    "three overlong bytes": b"\xe0\x80\xaf",
    "four overlong bytes": b"\xf0\x80\x80\xaf",
    "a high surrogate": b"\xed\xa0\x80",
    "a low surrogate": b"\xed\xbf\xbf",
    "beyond U+10FFFF": b"\xf4\x90\x80\x80",
    "byte FE": b"\xfe",
    "byte FF": b"\xff",
    "a null": b"a\0b",
}


def every_case(version: int) -> Iterator[Case]:
    """Return every case that both versions know, as `version` writes it."""
    yield from _headers(version)
    yield from _publishes(version)
    yield from _answers(version)
    yield from _connacks(version)


def valid_packets(version: int) -> dict[PacketType, bytes]:
    """Return one of each type that has no flags of its own, with identifier 77."""
    ending = b"\0" if version == V5 else b""
    found = {
        PacketType.CONNACK: packets.connack(version),
        PacketType.SUBACK: packet(PacketType.SUBACK, UNKNOWN + ending + b"\0"),
        PacketType.UNSUBACK: packet(PacketType.UNSUBACK, UNKNOWN + ending + ending),
        PacketType.PINGRESP: packet(PacketType.PINGRESP),
    }
    for kind in (PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBCOMP):
        found[kind] = packet(kind, UNKNOWN)
    found[PacketType.PUBREL] = packet(PacketType.PUBREL, UNKNOWN, 2)
    if version == V5:
        found[PacketType.DISCONNECT] = packet(PacketType.DISCONNECT, b"\0")
    return found


def _headers(version: int) -> Iterator[Case]:
    """Section 2.1: types, flags, Remaining Length; section 3: who may send what."""
    up = Moment.UP
    yield up, "type 0", b"\0\0", MALFORMED
    for kind, flags in ((1, 0), (8, 2), (10, 2), (12, 0)):
        name = PacketType(kind).name
        yield up, f"a {name} from the broker", bytes([kind << 4 | flags, 0]), WRONG
    for kind, data in valid_packets(version).items():
        for bit in range(4):
            wrong = bytes([data[0] ^ 1 << bit]) + data[1:]
            moment = Moment.CONNACK if kind is PacketType.CONNACK else up
            yield moment, f"flag {bit} wrong in {kind.name}", wrong, MALFORMED
    yield up, "a Remaining Length of five bytes", b"\x30\x80\x80\x80\x80\x01", MALFORMED
    yield up, "a Remaining Length with a byte too many", b"\xd0\x80\x00", MALFORMED
    yield up, "a web server", b"HTTP/1.1 400 Bad Request\r\n\r\n", EITHER
    yield up, "a second CONNACK", packets.connack(version), WRONG
    yield up, "an AUTH that nobody asked for", b"\xf0\x00", EITHER
    if version == V311:
        yield up, "a DISCONNECT from a broker of 3.1.1", b"\xe0\x00", EITHER
    yield up, "a PINGRESP with a body", b"\xd0\x01\x00", MALFORMED
    for kind, data in valid_packets(version).items():
        if kind is not PacketType.CONNACK:
            yield Moment.CONNACK, f"{kind.name} before the CONNACK", data, WRONG
    early = packets.publish(version, "a", b"early")
    yield Moment.CONNACK, "PUBLISH before the CONNACK", early, WRONG


def _publishes(version: int) -> Iterator[Case]:
    """Sections 2.2.1, 3.3 and 4.7."""
    ending = b"\0" if version == V5 else b""

    def case(
        name: str, topic: bytes, rest: bytes, flags: int = 0, codes: frozenset[int] = MALFORMED
    ) -> Case:
        body = len(topic).to_bytes(2, "big") + topic + rest
        return Moment.UP, name, packet(PacketType.PUBLISH, body, flags), codes

    for flags in (6, 7, 14, 15):
        yield case(f"QoS 3 with flags {flags:#x}", b"a", b"\0\x05" + ending, flags)
    for flags in (8, 9):
        yield case(f"DUP without QoS, flags {flags:#x}", b"a", ending, flags, EITHER)
    for qos in (1, 2):
        yield case(f"Packet Identifier 0 with QoS {qos}", b"a", b"\0\0" + ending, qos << 1, EITHER)
        yield case(f"no Packet Identifier with QoS {qos}", b"a", b"", qos << 1)
        yield case(f"half a Packet Identifier with QoS {qos}", b"a", b"\x01", qos << 1)
    for topic in (b"+", b"#", b"a/+", b"a/#", b"a+", b"+/b", b"a/+/c"):
        yield case(f"Topic Name {topic.decode()}", topic, ending, codes=TOPIC_NAME)
    for name, text in _ILL_FORMED.items():
        yield case(f"a Topic Name that holds {name}", text, ending)
        yield case(f"a Topic Name that ends in {name}", b"a/" + text, ending)
    yield case("an empty Topic Name", b"", ending, codes=EITHER)
    for body in (b"", b"\0", b"\0\x09ab", b"\xff\xff" + b"a" * 40):
        data = packet(PacketType.PUBLISH, body)
        yield Moment.UP, f"a PUBLISH of {len(body)} bytes, cut in its Topic Name", data, MALFORMED


def _answers(version: int) -> Iterator[Case]:
    """Sections 3.4 to 3.7, 3.9 and 3.11."""
    for kind in (PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBREL, PacketType.PUBCOMP):
        flags = 2 if kind is PacketType.PUBREL else 0
        for body in (b"", b"\x01"):
            data = packet(kind, body, flags)
            yield Moment.UP, f"a {kind.name} of {len(body)} bytes", data, MALFORMED
        zero = packet(kind, b"\0\0", flags)
        yield Moment.UP, f"Packet Identifier 0 in {kind.name}", zero, EITHER
        if version == V311:
            data = packet(kind, UNKNOWN + b"\0", flags)
            yield Moment.UP, f"a {kind.name} with a byte too many", data, MALFORMED
    ending = b"\0" if version == V5 else b""
    for kind in (PacketType.SUBACK, PacketType.UNSUBACK):
        for body in (b"", b"\x01"):
            yield (
                Moment.SUBACK,
                f"a {kind.name} of {len(body)} bytes",
                packet(kind, body),
                MALFORMED,
            )
        codes = b"" if kind is PacketType.UNSUBACK and version == V311 else b"\0"
        zero = packet(kind, b"\0\0" + ending + codes)
        yield Moment.SUBACK, f"Packet Identifier 0 in {kind.name}", zero, EITHER
    for count in (0, 2, 3):
        data = packet(PacketType.SUBACK, FIRST + ending + b"\0" * count)
        yield Moment.SUBACK, f"a SUBACK with {count} codes for one Topic Filter", data, EITHER
    bad = {3, 4, 0x7F, 0x81, 0xFF} | ({0x80 + 7} if version == V311 else {0x9B})
    for code in sorted(bad):
        data = packet(PacketType.SUBACK, FIRST + ending + bytes([code]))
        yield Moment.SUBACK, f"code {code:#04x} in a SUBACK", data, EITHER


def _connacks(version: int) -> Iterator[Case]:
    """Section 3.2."""

    def case(name: str, body: bytes, codes: frozenset[int]) -> Case:
        return Moment.CONNACK, name, packet(PacketType.CONNACK, body), codes

    ending = b"\0" if version == V5 else b""
    for size in (0, 1):
        yield case(f"a CONNACK of {size} bytes", b"\0" * size, MALFORMED)
    yield case("a CONNACK with bytes too many", b"\0\0" + ending + b"\0\0", MALFORMED)
    for bit in range(1, 8):
        yield case(f"bit {bit} of the flags in CONNACK", bytes([1 << bit, 0]) + ending, MALFORMED)
    yield case("Session Present after a clean start", b"\x01\0" + ending, EITHER)
    refusals = (1, 3, 5) if version == V311 else (0x80, 0x87, 0x89)
    for code in refusals:
        body = bytes([1, code]) + ending
        yield case(f"Session Present in a refusal with {code:#04x}", body, EITHER)
