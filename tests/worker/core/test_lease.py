"""May this worker run the connections? Only while nobody else can have taken over."""

from __future__ import annotations

import pytest

from mqttworker.core.lease import YIELD_EARLY, LeaseAnswer, Tenure

TTL = 5.0  # seconds
HELD = LeaseAnswer(is_held=True, epoch=1, has_standby=False)
HELD_WITH_STANDBY = LeaseAnswer(is_held=True, epoch=1, has_standby=True)
LOST = LeaseAnswer(is_held=False, epoch=2, has_standby=False)


def _held(answer: LeaseAnswer = HELD) -> Tenure:
    return Tenure(TTL).answered(answer, asked_at=100.0)


def test_a_new_worker_may_not_connect() -> None:
    assert not Tenure(TTL).may_connect(100.0)
    assert Tenure(TTL).must_yield(100.0)


def test_a_holder_may_connect_until_the_lease_runs_out() -> None:
    assert _held().may_connect(104.9)
    assert not _held().must_yield(104.9)


def test_a_holder_whose_lease_ran_out_opens_nothing_before_the_database_answers() -> None:
    # Such as after a freeze: the answer of the database decides what is to be dropped.
    assert not _held().may_connect(105.0)
    assert not _held().must_yield(105.0)


def test_a_lease_counts_from_the_question_not_from_the_answer() -> None:
    late = Tenure(TTL).answered(HELD, asked_at=95.0)
    assert not late.may_connect(100.0)


def test_a_holder_that_lost_the_lease_yields_at_once() -> None:
    tenure = _held().answered(LOST, asked_at=101.0)
    assert not tenure.may_connect(101.0)
    assert tenure.must_yield(101.0)


@pytest.mark.parametrize("now", [101.0, 1e6])
def test_without_a_standby_an_outage_of_the_database_ends_nothing(now: float) -> None:
    tenure = _held().unanswered()
    assert tenure.may_connect(now)
    assert not tenure.must_yield(now)


@pytest.mark.parametrize("failed", [True, False], ids=["failed", "not answered yet"])
def test_with_a_standby_the_tenure_ends_before_the_lease_does(failed: bool) -> None:
    tenure = _held(HELD_WITH_STANDBY)
    if failed:
        tenure = tenure.unanswered()
    last = 105.0 - YIELD_EARLY
    assert tenure.may_connect(last - 0.01)
    assert not tenure.must_yield(last - 0.01)
    assert tenure.must_yield(last)
    assert not tenure.may_connect(105.0)


def test_a_database_that_answers_again_ends_the_outage() -> None:
    tenure = _held(HELD_WITH_STANDBY).unanswered().answered(HELD, asked_at=110.0)
    assert tenure.may_connect(114.9)
    assert not tenure.is_blind


def test_a_worker_that_never_held_the_lease_stays_out_during_an_outage() -> None:
    assert not Tenure(TTL).unanswered().may_connect(100.0)
