"""Other protocols are told by their first bytes, and no packet is taken for one of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttworker.core.foreign_protocol import TLS, ForeignProtocolError, check_beginning
from tests.support import packets
from tests.support.packets import V5, V311


def _spoken(head: bytes) -> str | None:
    with pytest.raises(ForeignProtocolError) as caught:
        check_beginning(head)
    return caught.value.spoken


@pytest.mark.parametrize("head", [b"\x15\x03\x01\x00\x02", b"\x16\x03\x03", b"\x16\x03"])
def test_tls_is_told_by_its_first_bytes(head: bytes) -> None:
    assert _spoken(head) == _spoken(bytearray(head)) == TLS  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("whole", "name"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "HTTP or WebSocket"),
        (b"SSH-2.0-x\r\n", "SSH"),
        (b"AMQP\x00\x00\x09\x01", "AMQP"),
        (b"-ERR unknown command\r\n", "Redis"),
    ],
)
def test_a_greeting_is_told_wherever_it_is_cut(whole: bytes, name: str) -> None:
    check_beginning(whole[:1])
    for size in range(2, len(whole)):
        assert _spoken(whole[:size]) == name


@pytest.mark.parametrize(
    "head", [b"", b"H", b"\x20", b"\x20\x03\x00\x00\x00", b"\x20\x20\x00\x00\x1d", b"\x21\x02\x00"]
)
def test_what_may_become_a_connack_is_waited_for(head: bytes) -> None:
    check_beginning(head)


@pytest.mark.parametrize(
    "packet",
    [
        packets.connack(V5),
        packets.connack(V311),
        packets.connack(V5, code=0x87),
        packets.publish(V5, "a", b"hello"),
        packets.publish(V311, "a" * 40, b"hello", qos=1, packet_id=1),
        packets.packet(packets.PacketType.PINGREQ),
        packets.disconnect(0x8B),
    ],
)
def test_a_packet_is_judged_as_a_packet(packet: bytes) -> None:
    for size in range(len(packet) + 1):
        check_beginning(packet[:size])


@given(st.binary(max_size=300))
def test_no_connack_is_taken_for_something_else(properties: bytes) -> None:
    body = bytes([0, 0]) + packets.remaining_length(len(properties)) + properties
    check_beginning(b"\x20" + packets.remaining_length(len(body)) + body)
