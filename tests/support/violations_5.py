"""What only a broker of MQTT 5 can do wrong: properties and reason codes."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.packets import PacketType, packet, remaining_length, text
from tests.support.violation import (
    EITHER,
    FIRST,
    MALFORMED,
    TOPIC_ALIAS,
    UNKNOWN,
    WRONG,
    Case,
    Moment,
)

#: A valid value of every property (table 2-4).
VALUES = {
    0x01: b"\x01", 0x02: b"\0\0\0\x3c", 0x03: text("text/plain"), 0x08: text("reply"),
    0x09: text("data"), 0x0B: b"\x05", 0x11: b"\0\0\0\x0a", 0x12: text("other"),
    0x13: b"\0\x3c", 0x15: text("method"), 0x16: text("data"), 0x17: b"\x01",
    0x18: b"\0\0\0\x01", 0x19: b"\x01", 0x1A: text("info"), 0x1C: text("server:1883"),
    0x1F: text("because"), 0x21: b"\0\x0a", 0x22: b"\0\x0a", 0x23: b"\0\x01",
    0x24: b"\x01", 0x25: b"\x01", 0x26: text("k") + text("v"), 0x27: b"\0\x01\0\0",
    0x28: b"\x01", 0x29: b"\x01", 0x2A: b"\x01",
}  # fmt: skip
_NAMELESS = (0x00, 0x04, 0x05, 0x0A, 0x14, 0x20, 0x2B, 0x7F)

_PUBLISH = {0x01, 0x02, 0x03, 0x08, 0x09, 0x0B, 0x23, 0x26}
_CONNACK = {
    0x11, 0x12, 0x13, 0x1A, 0x1C, 0x1F, 0x21, 0x22, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2A
}  # fmt: skip
_REASONED = {0x1F, 0x26}
_DISCONNECT = {0x1C, 0x1F, 0x26}
#: Where each property is allowed, as far as a broker sends it.
ALLOWED = {
    PacketType.PUBLISH: _PUBLISH,
    PacketType.CONNACK: _CONNACK,
    PacketType.DISCONNECT: _DISCONNECT,
}
#: These may come more than once.
_REPEATABLE = {0x0B, 0x26}
#: Properties that hold text, and where the text begins in their value.
_TEXTS = {0x03, 0x08, 0x12, 0x1C, 0x1F, 0x26}

_WRONG_VALUES = {
    PacketType.PUBLISH: {
        "Payload Format Indicator 2": (b"\x01\x02", EITHER),
        "Payload Format Indicator 255": (b"\x01\xff", EITHER),
        "Subscription Identifier 0": (b"\x0b\0", EITHER),
        "Subscription Identifier of five bytes": (b"\x0b\x80\x80\x80\x80\x01", MALFORMED),
        "Topic Alias 0": (b"\x23\0\0", TOPIC_ALIAS),
        "Topic Alias 1 where none is allowed": (b"\x23\0\x01", TOPIC_ALIAS),
        "a Response Topic with a wildcard": (b"\x08" + text("a/#"), EITHER),
        "an empty Response Topic": (b"\x08" + text(""), EITHER),
    },
    PacketType.CONNACK: {
        "Receive Maximum 0": (b"\x21\0\0", WRONG),
        "Maximum Packet Size 0": (b"\x27\0\0\0\0", WRONG),
        "Maximum QoS 2": (b"\x24\x02", WRONG),
        "Retain Available 2": (b"\x25\x02", WRONG),
        "Wildcard Subscription Available 2": (b"\x28\x02", WRONG),
        "Subscription Identifier Available 2": (b"\x29\x02", WRONG),
        "Shared Subscription Available 2": (b"\x2a\x02", WRONG),
    },
}


class _Form:
    """A packet that may hold properties: what is before them, and which are allowed."""

    def __init__(
        self,
        kind: PacketType,
        moment: Moment,
        head: bytes,
        allowed: set[int],
        flags: int = 0,
        tail: bytes = b"",
    ) -> None:
        self.kind, self.moment, self.allowed = kind, moment, allowed
        self._head, self._flags, self._tail = head, flags, tail

    def raw(self, name: str, length: bytes, codes: frozenset[int], properties: bytes = b"") -> Case:
        """Return a case with this Property Length, right or wrong."""
        body = self._head + length + properties + self._tail
        return (
            self.moment,
            f"{name} in {self.kind.name}",
            packet(self.kind, body, self._flags),
            codes,
        )

    def case(self, name: str, properties: bytes, codes: frozenset[int]) -> Case:
        """Return a case with these properties."""
        return self.raw(name, remaining_length(len(properties)), codes, properties)


_FORMS = (
    _Form(PacketType.PUBLISH, Moment.UP, text("a"), _PUBLISH, tail=b"payload"),
    _Form(PacketType.CONNACK, Moment.CONNACK, b"\0\0", _CONNACK),
    _Form(PacketType.PUBACK, Moment.UP, UNKNOWN + b"\0", _REASONED),
    _Form(PacketType.PUBREC, Moment.UP, UNKNOWN + b"\0", _REASONED),
    _Form(PacketType.PUBREL, Moment.UP, UNKNOWN + b"\0", _REASONED, flags=2),
    _Form(PacketType.PUBCOMP, Moment.UP, UNKNOWN + b"\0", _REASONED),
    _Form(PacketType.SUBACK, Moment.SUBACK, FIRST, _REASONED, tail=b"\0"),
    _Form(PacketType.UNSUBACK, Moment.UP, UNKNOWN, _REASONED, tail=b"\0"),
    _Form(PacketType.DISCONNECT, Moment.UP, b"\x8b", _DISCONNECT),
)


def every_case() -> Iterator[Case]:
    """Return every case of MQTT 5 alone."""
    for form in _FORMS:
        yield from _properties(form)
        for name, (properties, codes) in _WRONG_VALUES.get(form.kind, {}).items():
            yield form.case(name, properties, codes)
    yield from _codes()


def _properties(form: _Form) -> Iterator[Case]:
    """Section 2.2.2 for one kind of packet."""
    for identifier in _NAMELESS:
        yield form.case(f"property {identifier:#04x}", bytes([identifier, 0]), MALFORMED)
    yield form.case("a property identifier of two bytes", b"\x81\x01\0", MALFORMED)
    for identifier, value in VALUES.items():
        whole = bytes([identifier]) + value
        if identifier not in form.allowed:
            yield form.case(f"property {identifier:#04x}", whole, EITHER)
            continue
        yield form.case(f"property {identifier:#04x}, cut,", whole[:-1], EITHER)
        if identifier not in _REPEATABLE and identifier != 0x23:
            yield form.case(f"property {identifier:#04x} twice", whole * 2, WRONG)
        if identifier in _TEXTS:
            ill_formed = bytes([identifier]) + b"\0\x02\xc0\x80" + value
            yield form.case(f"ill-formed text in {identifier:#04x}", ill_formed, EITHER)
    yield form.raw("a Property Length beyond the end", b"\x7f", MALFORMED)
    yield form.raw("a Property Length of five bytes", b"\x80\x80\x80\x80\x01", MALFORMED)
    yield form.raw("a Property Length with a byte too many", b"\x80\0", MALFORMED)


def _codes() -> Iterator[Case]:
    """Reason codes that a packet must not hold (sections 3.2 to 3.14)."""
    for code in (0x06, 0x10, 0x77):
        body = bytes([0, code, 0])
        yield (
            Moment.CONNACK,
            f"code {code:#04x} in CONNACK",
            packet(PacketType.CONNACK, body),
            EITHER,
        )
    for kind in (PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBREL, PacketType.PUBCOMP):
        flags = 2 if kind is PacketType.PUBREL else 0
        for code in (0x01, 0x18, 0x7F, 0x81, 0xFF):
            data = packet(kind, UNKNOWN + bytes([code]), flags)
            yield Moment.UP, f"code {code:#04x} in {kind.name}", data, EITHER
    for code in (0x01, 0x04, 0x7F):
        data = packet(PacketType.DISCONNECT, bytes([code]))
        yield Moment.UP, f"code {code:#04x} in DISCONNECT", data, EITHER
    data = packet(PacketType.PUBLISH, text("a"))
    yield Moment.UP, "a PUBLISH without a Property Length", data, MALFORMED
