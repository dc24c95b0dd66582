"""What the connections to one broker tell together: lost at once, back at last."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from mqttworker.core.fleet import MANY, QUIET, STRAGGLER, Fleet
from mqttworker.core.limiter import Broker

HERE, THERE = ("broker.example", 8883), ("b.example", 1883)


def _with_sessions(count: int, broker: Broker = HERE) -> Fleet:
    fleet = Fleet()
    for connection_id in range(count):
        fleet.came_up(broker, connection_id, 0.0)
    return fleet


def _lose(fleet: Fleet, ids: Iterable[int], at: float, gap: float = 0.0) -> float:
    """Lose these sessions, so far apart; return when the last one was lost."""
    for connection_id in ids:
        fleet.was_lost(HERE, connection_id, at)
        at += gap
    return at - gap


def _said(fleet: Fleet) -> list[str]:
    said = [str(notice) for notice in fleet.notices]
    fleet.notices.clear()
    return said


# --- lost together ----------------------------------------------------------------------


def test_losing_most_connections_of_a_broker_is_said_once() -> None:
    fleet = _with_sessions(7)
    last = _lose(fleet, range(7), 100.0, gap=0.3)
    fleet.judge(last + QUIET)
    assert _said(fleet) == [
        "7 of 7 connections to broker.example:8883 lost within 2 s: "
        "the broker or the network, not the records"
    ]
    fleet.judge(last + 100.0)
    assert _said(fleet) == []


def test_losing_most_connections_is_said_notyet() -> None:
    fleet = _with_sessions(7)
    last = _lose(fleet, range(7), 100.0, gap=0.3)
    assert fleet.judge(last + QUIET - 0.01)
    assert _said(fleet) == []


@pytest.mark.parametrize(("lost", "of", "is_shared"), [(1, 1, False), (1, 2, False), (2, 2, True)])
def test_it_takes_two_and_more_than_half(lost: int, of: int, is_shared: bool) -> None:
    fleet = _with_sessions(of)
    _lose(fleet, range(lost), 100.0)
    assert fleet.is_shared(HERE, 0) == is_shared
    fleet.judge(200.0)
    assert bool(_said(fleet)) == is_shared


def test_half_is_not_most() -> None:
    fleet = _with_sessions(10)
    _lose(fleet, range(5), 100.0)
    assert not fleet.judge(200.0)
    assert _said(fleet) == []


def test_many_at_once_are_told_together_even_if_they_are_not_most() -> None:
    fleet = _with_sessions(100)
    _lose(fleet, range(MANY + 1), 100.0)
    assert fleet.is_shared(HERE, 0)
    fleet.judge(200.0)
    assert _said(fleet) == ["11 of 100 connections to broker.example:8883 lost within 1 s"]


def test_losses_far_apart_are_not_one() -> None:
    fleet = _with_sessions(4)
    last = _lose(fleet, range(4), 100.0, gap=QUIET + 0.1)
    assert not fleet.is_shared(HERE, 2)
    fleet.judge(last + QUIET)
    assert _said(fleet) == []


def test_one_connection_that_flaps_is_one() -> None:
    fleet = _with_sessions(3)
    for number in range(10):
        fleet.was_lost(HERE, 1, 100.0 + number)
        fleet.came_up(HERE, 1, 100.5 + number)
    assert not fleet.is_shared(HERE, 1)


def test_a_loss_at_another_broker_is_another_matter() -> None:
    fleet = _with_sessions(2)
    fleet.came_up(THERE, 5, 0.0)
    fleet.was_lost(THERE, 5, 100.0)
    fleet.was_lost(HERE, 1, 100.0)
    fleet.judge(200.0)
    assert _said(fleet) == []


# --- over -------------------------------------------------------------------------------


def test_the_return_of_the_last_one_is_said_once() -> None:
    fleet = _with_sessions(7)
    _lose(fleet, range(7), 100.0)
    fleet.judge(102.0)
    _said(fleet)
    for connection_id in range(7):
        assert _said(fleet) == []
        fleet.came_up(HERE, connection_id, 112.3 - 6 + connection_id)
    assert _said(fleet) == ["all 7 connections to broker.example:8883 back after 12.3 s"]
    assert not fleet.judge(200.0)


def test_a_return_within_the_quiet_time_is_said_after_the_loss() -> None:
    fleet = _with_sessions(2)
    _lose(fleet, range(2), 100.0)
    for connection_id in range(2):
        fleet.came_up(HERE, connection_id, 101.0)
    assert _said(fleet) == []
    fleet.judge(102.0)
    lost, back = _said(fleet)
    assert lost.startswith("2 of 2")
    assert back == "all 2 connections to broker.example:8883 back after 1.0 s"


def test_who_has_another_trouble_is_not_waited_for() -> None:
    fleet = _with_sessions(3)
    _lose(fleet, range(3), 100.0)
    fleet.judge(102.0)
    _said(fleet)
    fleet.came_up(HERE, 0, 110.0)
    fleet.is_down(HERE, 1, 110.0)
    fleet.came_up(HERE, 2, 111.0)
    assert _said(fleet) == [
        "2 of 3 connections to broker.example:8883 back after 11.0 s, 1 with another trouble"
    ]


def test_who_is_not_wanted_any_more_does_not_count() -> None:
    fleet = _with_sessions(3)
    _lose(fleet, range(3), 100.0)
    fleet.judge(102.0)
    _said(fleet)
    fleet.came_up(HERE, 0, 110.0)
    fleet.has_left(HERE, 1, 110.0)
    fleet.came_up(HERE, 2, 111.0)
    assert _said(fleet) == ["all 2 connections to broker.example:8883 back after 11.0 s"]


def test_nothing_is_said_when_nobody_is_wanted_any_more() -> None:
    fleet = _with_sessions(3)
    _lose(fleet, range(3), 100.0)
    fleet.judge(102.0)
    _said(fleet)
    for connection_id in range(3):
        fleet.has_left(HERE, connection_id, 110.0)
    assert not fleet.judge(200.0)
    assert _said(fleet) == []


def test_a_straggler_does_not_keep_the_matter_open() -> None:
    fleet = _with_sessions(3)
    _lose(fleet, range(3), 100.0)
    fleet.judge(102.0)
    for connection_id in range(2):
        fleet.came_up(HERE, connection_id, 110.0)
    _said(fleet)
    assert fleet.judge(110.0 + STRAGGLER - 0.1)
    assert _said(fleet) == []
    assert not fleet.judge(110.0 + STRAGGLER)
    assert _said(fleet)[0].startswith("2 of 3")
    fleet.was_lost(HERE, 0, 300.0)
    assert not fleet.is_shared(HERE, 0)


def test_an_outage_lasts_as_long_as_nobody_is_back() -> None:
    fleet = _with_sessions(3)
    _lose(fleet, range(3), 100.0)
    fleet.judge(102.0)
    _said(fleet)
    assert fleet.judge(100_000.0)
    assert _said(fleet) == []
    assert fleet.is_shared(HERE, 1)


def test_brokers_that_nobody_uses_any_more_are_forgotten() -> None:
    fleet = _with_sessions(2)
    fleet.came_up(THERE, 9, 0.0)
    fleet.keep_only({THERE})
    assert [fleet.has_sessions(broker) for broker in (HERE, THERE)] == [False, True]
