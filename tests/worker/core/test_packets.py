"""The fixed header: valid ones are read as the specification says, others are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttworker.core import packets
from mqttworker.core.packets import (
    Frame,
    MalformedPacketError,
    PacketTooLargeError,
    ViolationError,
    check_first_byte,
    next_frame,
)

LARGEST = 268_435_455  # bytes, four digits of seven bits
#: First bytes that a broker may send (MQTT 5, tables 2.1 and 2.2).
VALID_FIRST = frozenset(
    {0x20, 0x40, 0x50, 0x62, 0x70, 0x90, 0xB0, 0xD0, 0xE0, 0xF0}
    | {0x30 | flags for flags in range(16) if flags >> 1 & 0x03 != 3}
)


def _encoded(length: int) -> bytes:
    """Return a Variable Byte Integer, written straight from section 1.5.5."""
    digits = bytearray()
    while length > 127:
        digits.append(length % 128 + 128)
        length //= 128
    digits.append(length)
    return bytes(digits)


@given(
    first=st.sampled_from(sorted(VALID_FIRST)),
    length=st.integers(0, LARGEST),
    before=st.binary(max_size=20),
    after=st.binary(max_size=20),
)
def test_a_valid_header_is_read_as_the_specification_says(
    first: int, length: int, before: bytes, after: bytes
) -> None:
    header = bytes([first]) + _encoded(length)
    start = len(before) + len(header)
    frame = next_frame(before + header + after, len(before), LARGEST)
    assert frame == Frame(first, start, start + length)


@given(data=st.binary(max_size=12), at=st.integers(0, 3), limit=st.integers(0, LARGEST))
def test_any_bytes_give_a_frame_or_a_violation(data: bytes, at: int, limit: int) -> None:
    try:
        frame = next_frame(data, at, limit)
    except ViolationError:
        return
    if frame is not None:
        assert frame.first == data[at]
        assert at + 2 <= frame.start <= at + 5
        assert 0 <= frame.end - frame.start <= limit


@given(first=st.integers(0, 255))
def test_the_first_byte_is_judged_as_the_specification_says(first: int) -> None:
    if first in VALID_FIRST:
        check_first_byte(first)
    else:
        with pytest.raises(ViolationError):
            check_first_byte(first)


@pytest.mark.parametrize(
    "header", [b"", b"\x30", b"\x30\x80", b"\x30\x80\x80", b"\x30\xff\xff\x7f"[:3]]
)
def test_an_unfinished_header_is_waited_for(header: bytes) -> None:
    assert next_frame(header, 0, LARGEST) is None


def test_a_giant_is_refused_before_anything_of_it_arrives() -> None:
    with pytest.raises(PacketTooLargeError) as caught:
        next_frame(b"\x30" + _encoded(LARGEST), 0, 1_048_576)
    assert caught.value.size > 1_048_576


def test_a_packet_of_exactly_the_limit_is_let_through() -> None:
    assert next_frame(b"\x30" + _encoded(1000), 0, 1000) == Frame(0x30, 3, 1003)
    with pytest.raises(PacketTooLargeError):
        next_frame(b"\x30" + _encoded(1001), 0, 1000)


def test_a_remaining_length_of_five_bytes_is_malformed() -> None:
    with pytest.raises(MalformedPacketError, match="four bytes"):
        next_frame(b"\x30\x80\x80\x80\x80\x01", 0, LARGEST)


@pytest.mark.parametrize("first", sorted(packets.CLIENT_ONLY))
def test_what_only_a_client_may_send_is_malformed(first: int) -> None:
    with pytest.raises(ViolationError, match="must not come from a broker"):
        next_frame(bytes([first | 0x02 if first in {0x80, 0xA0} else first, 0]), 0, LARGEST)


@pytest.mark.parametrize("data", [b"\x30\x80\x00", b"\xd0\x80\x80\x00", b"\x30\x85\x00abcde"])
def test_a_remaining_length_that_takes_more_bytes_than_it_needs_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedPacketError, match="than it needs"):
        next_frame(data, 0, LARGEST)


def test_a_bad_first_byte_is_not_waited_for() -> None:
    with pytest.raises(MalformedPacketError):
        next_frame(b"\x00\x80", 0, LARGEST)
