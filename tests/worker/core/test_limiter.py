"""CONNECTs to one broker are spread; losses at one moment are seen together."""

from __future__ import annotations

import pytest

from mqttworker.core.limiter import ConnectLimiter, LossWatch

HERE, THERE = ("a.example", 1883), ("b.example", 1883)


def test_moments_are_spread_evenly() -> None:
    limiter = ConnectLimiter(500)
    slots = [limiter.reserve(HERE, 10.0) for _ in range(1000)]
    assert slots[0] == 10.0
    assert slots[-1] == pytest.approx(10.0 + 999 / 500)
    assert slots == sorted(slots)


def test_a_broker_does_not_wait_for_another() -> None:
    limiter = ConnectLimiter(1)
    limiter.reserve(HERE, 10.0)
    assert limiter.reserve(THERE, 10.0) == 10.0
    assert limiter.reserve(("a.example", 8883), 10.0) == 10.0


def test_unused_moments_are_not_saved_up() -> None:
    limiter = ConnectLimiter(1)
    limiter.reserve(HERE, 10.0)
    assert [limiter.reserve(HERE, 100.0) for _ in range(2)] == [100.0, 101.0]


def test_a_loss_is_alone_when_nobody_else_lost() -> None:
    watch = LossWatch()
    assert watch.is_alone(HERE, 1, 10.0)
    watch.lost(HERE, 1, 10.0)
    assert watch.is_alone(HERE, 1, 10.0)


def test_one_connection_that_is_lost_again_and_again_is_alone() -> None:
    watch = LossWatch()
    for at in range(20):
        watch.lost(HERE, 1, at / 10)
        assert watch.is_alone(HERE, 1, at / 10)


def test_losses_at_the_same_moment_are_shared_by_all() -> None:
    watch = LossWatch()
    for connection_id in (1, 2, 3):
        watch.lost(HERE, connection_id, 10.0)
    assert not any(watch.is_alone(HERE, connection_id, 10.1) for connection_id in (1, 2, 3))


def test_losses_are_shared_when_one_connection_repeats_its_own() -> None:
    watch = LossWatch()
    watch.lost(HERE, 1, 10.0)
    watch.lost(HERE, 2, 10.5)
    watch.lost(HERE, 2, 11.0)
    assert not watch.is_alone(HERE, 2, 11.0)
    assert not watch.is_alone(HERE, 1, 11.0)


def test_a_loss_long_ago_is_not_shared() -> None:
    watch = LossWatch()
    watch.lost(HERE, 1, 10.0)
    watch.lost(HERE, 2, 10.0 + LossWatch.TOGETHER + 0.1)
    assert watch.is_alone(HERE, 2, 12.1)


def test_a_loss_at_another_broker_is_not_shared() -> None:
    watch = LossWatch()
    watch.lost(THERE, 1, 10.0)
    watch.lost(HERE, 2, 10.0)
    assert watch.is_alone(HERE, 2, 10.0)
