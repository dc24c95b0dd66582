"""Waits: full jitter, capped, never two CONNECTs of one client id within a second."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from mqttworker.core import backoff, events
from mqttworker.core.cause import cause
from tests.worker.core import lives

#: Kolmogorov-Smirnov: a larger distance has p < 0.01 at 1,000 draws.
KS_LIMIT = 1.63 / 1000**0.5


def _distance_from_uniform(values: list[float], top: float) -> float:
    """Return the largest distance between the sample's distribution and the uniform one."""
    ordered = sorted(value / top for value in values)
    count = len(ordered)
    return max(
        max((index + 1) / count - value, value - index / count)
        for index, value in enumerate(ordered)
    )


@pytest.mark.parametrize(("failures", "top"), [(1, 1.0), (3, 4.0), (6, 30.0), (1000, 30.0)])
def test_the_wait_is_uniform_up_to_the_doubled_base(failures: int, top: float) -> None:
    draw = random.Random(7)
    waits = [backoff.backoff(failures, draw.random()) for _ in range(1000)]
    assert min(waits) >= 0
    assert max(waits) < top
    assert _distance_from_uniform(waits, top) < KS_LIMIT


@pytest.mark.parametrize("after", [0.001, 60.0])
def test_first_retries_are_uniform_however_short_the_try_was(after: float) -> None:
    draw = random.Random(7)
    failed = events.Failed(cause("tcp_refused"))
    waits = [lives.connecting().on(failed, after, draw.random()).wait for _ in range(1000)]
    least = max(0.0, backoff.MIN_CONNECT_GAP - after)
    assert _distance_from_uniform([wait - least for wait in waits], 1.0) < KS_LIMIT
    bins = [int((wait - least) * 10) for wait in waits]
    assert max(map(bins.count, range(10))) <= 150


def test_the_measure_sees_a_sample_that_is_not_uniform() -> None:
    draw = random.Random(7)
    assert _distance_from_uniform([draw.random() ** 1.3 for _ in range(1000)], 1.0) > KS_LIMIT


def test_the_top_doubles_up_to_thirty_seconds() -> None:
    tops = [backoff.backoff(failures, 1.0) for failures in range(1, 9)]
    assert tops == [1, 2, 4, 8, 16, 30, 30, 30]


def test_the_cooldown_doubles_up_to_ten_minutes() -> None:
    assert [backoff.cooldown(count) for count in range(1, 7)] == [60, 120, 240, 480, 600, 600]
    inferred = [backoff.cooldown(count, backoff.INFERRED_COOLDOWN_BASE) for count in range(1, 8)]
    assert inferred == [10, 20, 40, 80, 160, 320, 600]


def test_the_wait_after_a_flap_is_at_least_half_of_the_top() -> None:
    assert [backoff.after_flap(failures, 0.0) for failures in (1, 3, 6, 9)] == [0.5, 2, 15, 15]
    assert [backoff.after_flap(failures, 1.0) for failures in (1, 3, 6, 9)] == [1, 4, 30, 30]


def test_a_refusal_is_spread_by_a_tenth() -> None:
    assert backoff.refused(1, 0.0) == pytest.approx(54)
    assert backoff.refused(1, 1.0) == pytest.approx(60)


def test_twelve_tries_without_connack_are_spread_and_grow() -> None:
    draw = random.Random(3)
    walk, tried = lives.connecting(), []
    for _ in range(12):
        tried.append(walk.now)
        walk.on(events.Failed(cause("connack_timeout")), after=2.0, draw=draw.random()).due()
    gaps = [later - earlier - 2.0 for earlier, later in itertools.pairwise(tried)]
    assert len({round(gap, 3) for gap in gaps}) >= 10
    assert max(gaps) <= 30.0
    assert sorted(gaps[:4])[2] < sorted(gaps[-4:])[2]


def test_a_client_id_connects_once_a_second_at_most() -> None:
    walk, tried = lives.connecting(), []
    for _ in range(50):
        tried.append(walk.now)
        walk.on(events.Failed(cause("tcp_refused")), after=0.001, draw=0.0).due()
    assert min(b - a for a, b in itertools.pairwise(tried)) >= backoff.MIN_CONNECT_GAP


@pytest.mark.parametrize("draw", [random.Random(5).random, lambda: 0.0])
def test_a_flapping_broker_is_met_less_and_less_often(draw: Callable[[], float]) -> None:
    walk, connects = lives.connecting(), 0
    end = walk.now + 300
    while walk.now < end:
        connects += 1
        walk.on(events.Opened("5"), after=0.01)
        walk.on(events.Lost(cause("protocol_error")), after=0.01, draw=draw()).due()
    assert connects <= 25
