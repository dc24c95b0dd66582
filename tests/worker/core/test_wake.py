"""The first connection that reaches a broker again tells those who wait for it."""

from __future__ import annotations

from collections.abc import Iterable

from mqttworker.core.fleet import WAKE_GAP, WAKE_WINDOW, WAKES, Fleet

HERE, THERE = ("broker.example", 8883), ("b.example", 1883)


def _waiting(fleet: Fleet, ids: Iterable[int], at: float = 10.0) -> None:
    for number, connection_id in enumerate(ids):
        assert not fleet.waits(HERE, connection_id, at, at + number)


def test_the_first_one_up_wakes_those_who_wait_the_longest_waiting_first() -> None:
    fleet = Fleet()
    _waiting(fleet, (3, 1, 2))
    assert fleet.came_up(HERE, 9, 20.0) == [3, 1, 2]
    assert fleet.came_up(HERE, 3, 20.1) == []


def test_nobody_is_woken_by_another_broker() -> None:
    fleet = Fleet()
    _waiting(fleet, (1, 2))
    assert fleet.came_up(THERE, 9, 20.0) == []


def test_who_waits_for_another_reason_is_not_woken() -> None:
    fleet = Fleet()
    _waiting(fleet, (1, 2))
    fleet.waits_no_more(HERE, 1)
    assert fleet.came_up(HERE, 9, 20.0) == [2]


def test_a_broker_that_flaps_wakes_once_in_a_while() -> None:
    fleet, woken = Fleet(), 0
    for number in range(360):
        _waiting(fleet, range(5), at=float(number))
        woken += bool(fleet.came_up(HERE, 9, number + 0.5))
        fleet.was_lost(HERE, 9, number + 0.6)
    assert woken == 360 / WAKE_WINDOW * WAKES


def test_a_broker_that_restarts_twice_in_a_row_wakes_twice() -> None:
    fleet = Fleet()
    for start in (10.0, 20.0):
        _waiting(fleet, (1, 2), at=start)
        assert fleet.came_up(HERE, 9, start + 5.0) == [1, 2]
        fleet.waits_no_more(HERE, 1)
        fleet.waits_no_more(HERE, 2)
        fleet.was_lost(HERE, 9, start + 6.0)


def test_a_start_with_nobody_waiting_does_not_use_up_the_wake() -> None:
    fleet = Fleet()
    for connection_id in range(3):
        assert fleet.came_up(HERE, connection_id, 0.0) == []
        fleet.was_lost(HERE, connection_id, 5.0)
    _waiting(fleet, range(3), at=5.0)
    assert fleet.came_up(HERE, 0, 6.0) == [1, 2]


def test_a_try_that_began_before_the_return_is_soon_repeated() -> None:
    fleet = Fleet()
    assert not fleet.waits(HERE, 1, began_at=90.0, now=100.0)
    fleet.waits_no_more(HERE, 1)
    # It tries since 105; the broker is back at 110, and answers those who come then.
    assert fleet.came_up(HERE, 2, 110.0) == []
    assert fleet.waits(HERE, 1, began_at=105.0, now=115.0)
    # Not for ever: others come up all the time where one is kept out.
    for number in range(1, WAKES + 1):
        now = 115.0 + WAKE_GAP * number
        fleet.waits_no_more(HERE, 1)
        fleet.came_up(HERE, 3, now - 0.5)
        is_hurried = fleet.waits(HERE, 1, began_at=now - 1.0, now=now)
        assert is_hurried == (number < WAKES)


def test_a_try_that_began_before_others_were_woken_is_soon_repeated() -> None:
    fleet = Fleet()
    _waiting(fleet, (1, 2))
    fleet.waits_no_more(HERE, 1)
    # It tries since 105, and the return of another wakes only who waits.
    assert fleet.came_up(HERE, 3, 110.0) == [2]
    assert fleet.waits(HERE, 1, began_at=105.0, now=115.0)


def test_a_try_that_began_after_the_return_and_failed_waits() -> None:
    fleet = Fleet()
    fleet.came_up(HERE, 2, 0.0)
    assert not fleet.waits(HERE, 1, began_at=5.0, now=15.0)
