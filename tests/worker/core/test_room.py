"""The room for waiting messages is never overfilled, and one flood leaves others their share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mqttworker.core.messages import InboundMessage
from mqttworker.core.room import OVERHEAD, Load, Room, size_of

MESSAGE = 500


def _fill(room: Room, whole: Load, own: Load) -> None:
    while room.is_enough(own, whole):
        own.add(1, MESSAGE)
        whole.add(1, MESSAGE)


def test_one_flood_leaves_half_of_the_room() -> None:
    room, whole, own = Room(10_000, 10_000 * MESSAGE), Load(), Load()
    _fill(room, whole, own)
    assert own.messages == 5_001


def test_a_second_flood_gets_half_of_what_is_left_and_a_trickle_still_gets_through() -> None:
    room, whole = Room(10_000, 10_000_000_000), Load()
    first, second, trickle = Load(), Load(), Load()
    _fill(room, whole, first)
    _fill(room, whole, second)
    assert 2_400 < second.messages < 2_600
    assert room.is_enough(trickle, whole)


def test_whoever_was_held_back_goes_on_when_its_share_is_small() -> None:
    room, whole, own = Room(10_000, 10_000 * MESSAGE), Load(), Load()
    _fill(room, whole, own)
    assert not room.is_enough(own, whole, 0.5)
    own.add(-2_000, -2_000 * MESSAGE)
    whole.add(-2_000, -2_000 * MESSAGE)
    assert room.is_enough(own, whole, 0.5)


@given(st.lists(st.integers(0, 5), max_size=300))
def test_the_room_is_never_overfilled_by_more_than_one_message(turns: list[int]) -> None:
    room, whole = Room(20, 20 * MESSAGE), Load()
    loads = [Load() for _ in range(6)]
    for turn in turns:
        if room.is_enough(loads[turn], whole):
            loads[turn].add(1, MESSAGE)
            whole.add(1, MESSAGE)
    assert whole.messages <= room.messages + 1


def test_a_message_takes_its_parts_and_what_holds_them() -> None:
    message = InboundMessage("topic", b"payload", 1, False, False, 7, b"properties")
    assert size_of(message) == OVERHEAD + 5 + 7 + 10
