"""CONNECTs to one broker are spread; losses at one moment are seen together."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bench.storm_report import most_within
from mqttworker.core.limiter import (
    ONE_PLEA,
    PATIENCE,
    RECOVERY,
    SCOUTS_A_SECOND,
    WINDOW,
    ConnectLimiter,
    LossWatch,
)

HERE, THERE = ("a.example", 1883), ("b.example", 1883)


def _all_back(limiter: ConnectLimiter, count: int, answer_s: float = 0.001) -> list[float]:
    """Let `count` connections that are due at 10 s try as soon as they may; return when."""
    due, tried = dict.fromkeys(range(count), 10.0), []
    while due:
        connection_id, now = min(due.items(), key=lambda item: item[1])
        due[connection_id] = limiter.earliest(HERE, connection_id, now)
        if due[connection_id] == now:
            del due[connection_id]
            tried.append(now)
            limiter.answered(HERE, connection_id, now + answer_s)
    return tried


def test_tries_are_spread_evenly() -> None:
    tried = _all_back(ConnectLimiter(400), 1000)
    assert tried[0] == 10.0
    assert tried[-1] == pytest.approx(10.0 + 999 / 400)
    assert most_within(tried, WINDOW) <= 41


def test_a_broker_does_not_wait_for_another() -> None:
    limiter = ConnectLimiter(1)
    limiter.earliest(HERE, 1, 10.0)
    assert limiter.earliest(HERE, 2, 10.0) == 11.0
    assert limiter.earliest(THERE, 3, 10.0) == 10.0
    assert limiter.earliest(("a.example", 8883), 4, 10.0) == 10.0


def test_unused_moments_are_not_saved_up() -> None:
    limiter = ConnectLimiter(1)
    limiter.earliest(HERE, 1, 10.0)
    limiter.answered(HERE, 1, 10.0)
    assert [limiter.earliest(HERE, number, 100.0) for number in (2, 3)] == [100.0, 101.0]


def test_a_promised_moment_is_kept() -> None:
    limiter = ConnectLimiter(10)
    slots = [limiter.earliest(HERE, number, 10.0) for number in range(3)]
    assert [limiter.earliest(HERE, number, 10.01) for number in (1, 2)] == slots[1:]


def test_moments_missed_in_a_stall_do_not_burst() -> None:
    limiter = ConnectLimiter(400)
    waiting = range(1000)
    for number in waiting:
        limiter.earliest(HERE, number, 10.0)
    limiter.answered(HERE, 0, 10.01)
    # The hub stood still for a second: 400 moments have passed.
    begun = [number for number in waiting[1:] if limiter.earliest(HERE, number, 11.0) == 11.0]
    assert len(begun) == 44
    later = [limiter.earliest(HERE, number, 11.0) for number in waiting[1:] if number not in begun]
    assert min(later) > 11.0
    assert max(later) < 11.0 + 3.0


@pytest.mark.parametrize("answer_s", [0.02, 0.3])
def test_a_slow_broker_never_accepts_more_than_its_share_in_a_window(answer_s: float) -> None:
    limiter, due = ConnectLimiter(400), dict.fromkeys(range(300), 10.0)
    answers: list[tuple[float, int]] = []
    accepted = []
    now = 10.0
    while due or answers:
        now = min([*due.values(), *(at for at, _ in answers[:1])])
        while answers and answers[0][0] <= now:
            at, connection_id = answers.pop(0)
            limiter.answered(HERE, connection_id, at)
            accepted.append(at)
        for connection_id in [key for key, at in due.items() if at <= now]:
            due[connection_id] = limiter.earliest(HERE, connection_id, now)
            if due[connection_id] == now:
                del due[connection_id]
                answers.append((now + answer_s, connection_id))
    assert len(accepted) == 300
    assert most_within(accepted, WINDOW) <= 44


def test_a_broker_that_does_not_answer_is_asked_by_a_few_at_a_time() -> None:
    limiter = ConnectLimiter(400)
    moments = [10.0 + number / 400 for number in range(400)]
    begun = [n for n, now in enumerate(moments) if limiter.earliest(HERE, n, now) <= now]
    assert len(begun) == 44
    assert limiter.earliest(HERE, 1000, 10.0 + PATIENCE + 1.1) == 10.0 + PATIENCE + 1.1


def test_a_broker_that_is_down_is_asked_by_a_few_scouts() -> None:
    limiter, due = ConnectLimiter(400), dict.fromkeys(range(1000), 10.0)
    limiter.is_reached(HERE, False, 10.0)
    begun = []
    while (now := min(due.values())) < 40.0:
        connection_id = next(key for key, at in due.items() if at == now)
        due[connection_id] = limiter.earliest(HERE, connection_id, now)
        if due[connection_id] == now:
            due[connection_id] = now + 30.0
            begun.append(now)
            limiter.answered(HERE, connection_id, now)
    assert most_within(begun, 1.0) <= SCOUTS_A_SECOND + 1
    gaps = [later - at for at, later in pairwise(begun)]
    assert max(gaps) < 0.2


def test_a_few_connections_are_all_scouts() -> None:
    limiter = ConnectLimiter(400)
    limiter.is_reached(HERE, False, 10.0)
    assert max(limiter.earliest(HERE, number, 10.0) for number in range(20)) < 11.0


def test_a_broker_that_is_back_is_asked_by_all() -> None:
    limiter = ConnectLimiter(400)
    limiter.is_reached(HERE, False, 10.0)
    for number in range(1000):
        limiter.earliest(HERE, number, 10.0)
    limiter.is_reached(HERE, True, 10.0)
    limiter.answered(HERE, 0, 10.0)
    assert limiter.earliest(HERE, 1, 10.0) == 10.0
    assert limiter.earliest(HERE, 2, 10.0) == pytest.approx(10.0 + 1 / 400)


def test_a_connection_that_left_keeps_nobody_waiting() -> None:
    limiter = ConnectLimiter(1)
    limiter.earliest(HERE, 1, 10.0)
    limiter.forget(HERE, 1)
    assert limiter.earliest(HERE, 2, 11.0) == 11.0


def test_a_plea_for_patience_halves_the_pace_for_a_while() -> None:
    limiter = ConnectLimiter(400)
    for number in range(100):
        limiter.slow_down(HERE, 10.0 + number / 100)
    tried = _all_back(limiter, 100)
    assert tried[-1] - tried[0] == pytest.approx(99 / 200)
    assert limiter.earliest(HERE, 1, 10.0 + RECOVERY) == 10.0 + RECOVERY
    assert limiter.earliest(HERE, 2, 10.0 + RECOVERY) == pytest.approx(10.0 + RECOVERY + 1 / 400)


def test_pleas_that_go_on_halve_the_pace_again() -> None:
    limiter = ConnectLimiter(400)
    for number in range(3):
        limiter.slow_down(HERE, 10.0 + number * ONE_PLEA)
    now = 10.0 + 3 * ONE_PLEA
    assert limiter.earliest(HERE, 1, now) == now
    assert limiter.earliest(HERE, 2, now) == pytest.approx(now + 8 / 400)


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


def test_brokers_that_nobody_uses_any_more_are_forgotten() -> None:
    limiter, losses = ConnectLimiter(1), LossWatch()
    for broker in (HERE, THERE):
        assert limiter.promise(broker, 1, 10.0) == 10.0
        losses.lost(broker, 1, 10.0)
    limiter.keep_only({HERE})
    losses.keep_only({HERE})
    assert [limiter.promise(broker, 2, 10.0) for broker in (HERE, THERE)] == [11.0, 10.0]
    assert [losses.is_alone(broker, 2, 10.0) for broker in (HERE, THERE)] == [False, True]
