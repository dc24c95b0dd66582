"""Whatever bytes come, the stream delivers, waits for more, or ends: it never goes deaf."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mqttworker.adapters.packet_stream import WRITE_LIMIT, PacketStream
from mqttworker.core.conformance import Conversation
from mqttworker.core.foreign_protocol import ForeignProtocolError
from mqttworker.core.messages import InboundMessage
from mqttworker.core.packets import PacketTooLargeError, ViolationError
from tests.support import packets
from tests.support.packets import V5, V311

LIMIT = 10_000  # bytes


class Wire(asyncio.Transport):
    """The socket's side: keeps what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()
        self.high: int | None = None

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high


def _as_packet(version: int, message: InboundMessage) -> tuple[int, bytes]:
    """Return the PUBLISH that `message` came in: first byte and body."""
    flags = (0x08 if message.dup else 0) | (message.qos << 1) | message.retain
    topic = message.topic.encode("utf-8", "surrogateescape")
    body = len(topic).to_bytes(2, "big") + topic
    if message.qos:
        body += message.identifier.to_bytes(2, "big")
    if version == V5:
        body += packets.remaining_length(len(message.properties)) + message.properties
    return 0x30 | flags, body + message.payload


@dataclass
class Heard:
    """A stream and what it has told."""

    version: int
    wire: Wire = field(default_factory=Wire)
    packets: list[tuple[int, bytes]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        conversation = Conversation(self.version, clean_start=True)
        conversation.subscribed(1, 1)
        for identifier in range(2, 50):
            conversation.published(identifier, qos=1)
        self.stream = PacketStream(
            conversation,
            LIMIT,
            self.errors.append,
            self._take_packet,
            self._take_packet,
            self._take_messages,
            lambda _error: None,
        )
        self.stream.connection_made(self.wire)

    def _take_packet(self, first: int, body: bytes) -> None:
        self.packets.append((first, body))

    def _take_messages(self, messages: list[InboundMessage]) -> None:
        self.packets += [_as_packet(self.version, message) for message in messages]

    def feed(self, data: bytes, cuts: list[int]) -> None:
        """Let `data` arrive in pieces that end at `cuts`."""
        edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
        for start, end in pairwise(edges):
            if start < end:
                self.stream.data_received(data[start:end])


def _good_stream(version: int) -> bytes:
    """Return a conversation that a broker may have with `Heard`."""
    acks = [packets.acknowledgement(packets.PacketType.PUBACK, number) for number in range(2, 12)]
    messages = [
        packets.publish(version, f"plant/{number}", b"x" * number, qos=number % 3, packet_id=number)
        for number in range(1, 150, 7)
    ]
    ping = packets.packet(packets.PacketType.PINGRESP)
    return b"".join(
        [packets.connack(version), packets.suback(version, 1, [1]), *acks, ping, *messages]
    )


_VERSIONS = st.sampled_from([V311, V5])
_CUTS = st.lists(st.integers(0, 2_000), max_size=12)


@given(version=_VERSIONS, cuts=_CUTS)
def test_a_good_stream_is_delivered_whole_however_it_is_cut(version: int, cuts: list[int]) -> None:
    heard = Heard(version)
    data = _good_stream(version)
    heard.feed(data, cuts)
    assert heard.errors == []
    assert _put_together(heard.packets) == data
    assert heard.wire.written == b""


def _put_together(parts: list[tuple[int, bytes]]) -> bytes:
    whole = [bytes([first]) + packets.remaining_length(len(body)) + body for first, body in parts]
    return b"".join(whole)


@settings(max_examples=400)
@given(
    version=_VERSIONS,
    cuts=_CUTS,
    flips=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 7)), min_size=1, max_size=6),
)
def test_flipped_bits_are_delivered_waited_for_or_end_the_stream(
    version: int, cuts: list[int], flips: list[tuple[int, int]]
) -> None:
    data = bytearray(_good_stream(version))
    for place, bit in flips:
        data[place % len(data)] ^= 1 << bit
    _check_any(version, bytes(data), cuts)


@settings(max_examples=200)
@given(version=_VERSIONS, cuts=_CUTS, tail=st.binary(max_size=200), is_up=st.booleans())
def test_garbage_is_delivered_waited_for_or_ends_the_stream(
    version: int, cuts: list[int], tail: bytes, is_up: bool
) -> None:
    _check_any(version, (packets.connack(version) if is_up else b"") + tail, cuts)


def _check_any(version: int, data: bytes, cuts: list[int]) -> None:
    heard = Heard(version)
    heard.feed(data, cuts)
    assert all(isinstance(error, ViolationError) for error in heard.errors)
    assert len(heard.errors) <= 1
    whole = _put_together(heard.packets)
    assert data.startswith(whole)
    rest = data[len(whole) :]
    if heard.errors:
        _check_last_words(heard)
        _check_it_listens_no_more(heard)
    else:
        # It waits for more: all that it holds is the beginning of one packet.
        assert bytes(heard.stream._buffer) == rest
        assert heard.wire.written == b""
        assert len(rest) <= LIMIT + 5


def _check_it_listens_no_more(heard: Heard) -> None:
    before = len(heard.packets), len(heard.wire.written)
    heard.stream.data_received(packets.packet(packets.PacketType.PINGRESP))
    assert (len(heard.packets), len(heard.wire.written)) == before
    assert (len(heard.errors), bytes(heard.stream._buffer)) == (1, b"")


def _check_last_words(heard: Heard) -> None:
    """A DISCONNECT with the reason, in MQTT 5 and to whoever speaks MQTT."""
    error = heard.errors[0]
    assert isinstance(error, ViolationError)
    if heard.version == V311 or isinstance(error, ForeignProtocolError):
        assert heard.wire.written == b""
    else:
        assert heard.wire.written == bytes([0xE0, 1, error.code])


@pytest.mark.parametrize("head", [b"\x15\x03\x01\0\x02\x02\x46", b"\x16\x03\x03\0\x7a\x02"])
def test_tls_in_place_of_the_connack_is_told(head: bytes) -> None:
    connack = packets.connack(V5)
    for data in (head, connack + head):
        heard = Heard(V5)
        heard.feed(data, [len(connack)])
        assert isinstance(heard.errors[0], ForeignProtocolError) is (data == head)


@pytest.mark.parametrize("size", [LIMIT + 1, 2**20, 2**28 - 1])
def test_a_giant_is_refused_when_its_header_is_read(size: int) -> None:
    for version, words in ((V5, bytes([0xE0, 1, 0x95])), (V311, b"")):
        heard = Heard(version)
        header = b"\x30" + packets.remaining_length(size)
        heard.feed(packets.connack(version) + header, list(range(12)))
        assert isinstance(heard.errors[0], PacketTooLargeError)
        assert heard.wire.written == words


def test_an_error_of_our_own_is_not_called_the_brokers() -> None:
    heard = Heard(V5)

    def fail(_first: int, _body: bytes) -> None:
        raise KeyError

    heard.stream._on_packet = fail
    heard.feed(packets.connack(V5), [])
    assert [type(error) for error in heard.errors] == [KeyError]
    assert heard.wire.written == bytes([0xE0, 1, 0x83])


def test_the_stream_knows_since_when_it_is_blocked() -> None:
    heard = Heard(V5)
    assert heard.wire.high == WRITE_LIMIT
    moments = [heard.stream.blocked_since]
    for happen in (heard.stream.pause_writing, heard.stream.resume_writing):
        happen()
        moments.append(heard.stream.blocked_since)
    assert [moment is None for moment in moments] == [True, False, True]
