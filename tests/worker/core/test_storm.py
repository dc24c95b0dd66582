"""Rows B1, B4, B13, B17 and B18 in simulated time: an hour takes a second."""

from __future__ import annotations

import itertools
import statistics

import pytest

from bench.storm_report import ALL_BACK, ALL_BACK_LONG, MOST_BACK, PEAK, most_within, quantile
from mqttworker.core import events
from mqttworker.core.backoff import MIN_CONNECT_GAP
from mqttworker.core.cause import cause
from mqttworker.core.fleet import SERVES_AFTER
from tests.worker.core.simulation import ACCEPTS_AFTER, World

CLOSED = events.Lost(cause("peer_closed"))
RESET = events.Lost(cause("connection_reset"))
#: The broker's silence is ours, too: nothing speaks for a rival.
WORDLESS = events.Lost(cause("protocol_error"))


def _storm(world: World, outage: float, *, black_hole: bool = False) -> tuple[list[float], int]:
    """Take the broker away for `outage` seconds; return all waits and the peak in 100 ms."""
    world.run(60.0)
    world.take_down(black_hole=black_hole)
    world.run(outage)
    back_at = world.bring_back()
    world.run(60.0)
    assert world.shortest_gap() >= MIN_CONNECT_GAP - 1e-6
    return world.waits_since(back_at), most_within(world.accepted_since(back_at), 0.1)


@pytest.mark.parametrize("seed", range(2))
def test_b17_a_thousand_are_back_soon_after_a_short_outage(seed: int) -> None:
    waits, peak = _storm(World(1000, seed), 3.0)
    assert quantile(waits, 0.99) <= MOST_BACK
    assert max(waits) <= ALL_BACK
    assert peak <= PEAK


@pytest.mark.parametrize(("count", "seed"), [(300, 1), (7, 2), (1, 3), (1, 4)])
def test_b17_all_are_back_within_the_cap_after_ten_minutes(count: int, seed: int) -> None:
    waits, peak = _storm(World(count, seed), 600.0)
    assert max(waits) <= ALL_BACK_LONG
    assert peak <= PEAK


@pytest.mark.parametrize("seed", range(2))
def test_b17_all_are_back_within_the_cap_when_nothing_answered(seed: int) -> None:
    waits, peak = _storm(World(200, seed), 120.0, black_hole=True)
    assert max(waits) <= ALL_BACK_LONG
    assert peak <= PEAK


def test_the_first_one_back_wakes_the_others() -> None:
    waits, _ = _storm(World(30, 5), 600.0)
    first = min(waits)
    assert max(waits) - first < 1.5


def test_a_broker_that_flaps_causes_no_storm() -> None:
    world = World(50, 6)
    world.run(60.0)
    began_at = world.now
    for _ in range(150):
        world.take_down()
        world.run(2.0)
        world.bring_back()
        world.run(2.0)
    assert world.shortest_gap() >= MIN_CONNECT_GAP - 1e-6
    accepted = world.accepted_since(began_at)
    assert most_within(accepted, 0.1) <= PEAK
    # Ten minutes: once in half a minute for the wake, and the backoff's own tries.
    assert len(accepted) / 50 <= 60


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("sessions_are_reset", [False, True])
def test_nobody_waits_alone_after_many_short_sessions(seed: int, sessions_are_reset: bool) -> None:
    world = World(20, seed)
    world.run(60.0)
    for _ in range(7):
        if sessions_are_reset:
            for connection in world.connections:
                connection.report(connection.generation, RESET)
        else:
            world.take_down()
            world.run(1.0)
            world.bring_back()
        world.run(10.0)
    if not sessions_are_reset:
        world.take_down()
    for connection in world.connections:
        connection.report(connection.generation, RESET)
    back_at = world.bring_back()
    world.run(60.0)
    waits = sorted(world.waits_since(back_at))
    # The first one is back when its own wait is over, and calls the others.
    assert waits[-1] - waits[0] < SERVES_AFTER + 1.0


def test_those_whose_sessions_do_not_last_do_not_call_each_other() -> None:
    world = World(20, 1)
    world.run(60.0)
    flapping = world.connections[:3]
    began_at = world.now
    for _ in range(300):
        for connection in flapping:
            if connection.life.is_up:
                connection.report(connection.generation, RESET)
        world.run(1.0)
    # By themselves they try 17 times or so: the wait grows to 15 to 30 s.
    assert all(len([at for at in each.tried if at > began_at]) <= 25 for each in flapping)


@pytest.mark.parametrize("seconds", [0.0, 1.0])
@pytest.mark.parametrize("lost", [CLOSED, RESET, WORDLESS], ids=["closed", "reset", "wordless"])
@pytest.mark.parametrize("seed", range(5))
def test_b4_a_session_that_never_lasts_is_tried_less_and_less(
    seconds: float, lost: events.Lost, seed: int
) -> None:
    world = World(1, seed)
    world.run(60.0)
    world.broker.loses = (seconds, lost)
    world.take_down()
    began_at = world.bring_back()
    world.run(300.0)
    assert 2 <= len(world.accepted_since(began_at)) <= 25
    assert world.shortest_gap() >= MIN_CONNECT_GAP - 1e-6


def test_b13_resets_every_second_do_not_become_a_storm() -> None:
    world = World(50, 1)
    world.run(60.0)
    began_at = world.now
    for _ in range(300):
        for connection in world.connections:
            if connection.life.is_up:
                connection.report(connection.generation, RESET)
        world.run(1.0)
    minutes = 5
    assert len(world.accepted_since(began_at)) / 50 / minutes <= 5
    assert world.shortest_gap() >= MIN_CONNECT_GAP - 1e-6


def test_b1_the_tries_at_a_dead_broker_thin_out() -> None:
    world = World(1, 11)
    world.run(60.0)
    world.take_down()
    world.run(600.0)
    tried = world.connections[0].tried[1:]
    gaps = [later - at for at, later in itertools.pairwise(tried)]
    assert 30 <= len(tried) <= 90
    assert max(gaps) <= 30.0 + ACCEPTS_AFTER
    assert len({round(gap, 3) for gap in gaps}) > len(gaps) * 0.8
    assert statistics.median(gaps[:4]) < statistics.median(gaps[4:])
    assert sum(at < tried[0] + 60.0 for at in tried) <= 15


def test_the_first_tries_of_a_thousand_are_spread_over_their_second() -> None:
    world = World(1000, 12, rate=1e6)
    world.run(60.0)
    world.take_down()
    lost_at = world.now
    waits = [connection.life.due_at for connection in world.connections]
    largest = max(
        sum(lost_at + low <= (at or 0.0) < lost_at + low + 0.1 for at in waits)
        for low in [number / 20 for number in range(20)]
    )
    assert largest <= 150


def test_a_busy_broker_is_left_in_peace() -> None:
    world = World(100, 13)
    world.run(60.0)
    world.take_down()
    world.broker.refusal = "connection_rate_exceeded"
    began_at = world.bring_back()
    world.run(60.0)
    tries = [at for each in world.connections for at in each.tried if at > began_at]
    assert len(tries) / 100 <= 4
    world.broker.refusal = None
    back_at = world.now
    world.run(90.0)
    assert max(world.waits_since(back_at)) <= 90.0
