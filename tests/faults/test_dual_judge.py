"""The judge of two workers sees what must not happen."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.dual_judge import Judge

A_CONNECTS = "1: New client connected from 127.0.0.1:5 as own_1_a (p2, c1, k5).\n"
B_CONNECTS = "2: New client connected from 127.0.0.1:6 as own_1_b (p2, c1, k5).\n"
A_ENDS = "3: Client own_1_a closed its connection.\n"
A_PINGS = "4: Received PINGREQ from own_1_a\n"
TAKEN_OVER = "5: Client shared_1 already connected, closing old connection.\n"


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """A judge on an empty log."""
    (tmp_path / "log").touch()
    return Judge(tmp_path / "log")


def _told(judge: Judge, *lines: str) -> list[str]:
    with judge.log.open("a", encoding="utf-8") as log:
        log.write("".join(lines))
    judge.read()
    return judge.verdict()


def test_one_after_the_other_is_right(judge: Judge) -> None:
    assert _told(judge, A_CONNECTS, A_PINGS, A_ENDS, B_CONNECTS) == []
    assert (judge.owner, judge.changes_of_owner) == ("b", 2)


def test_two_at_the_same_time_are_wrong(judge: Judge) -> None:
    assert len(_told(judge, A_CONNECTS, B_CONNECTS)) == 1


def test_a_frozen_worker_may_be_replaced_but_never_act_again(judge: Judge) -> None:
    assert _told(judge, A_CONNECTS) == []
    judge.unable.add("a")
    assert _told(judge, B_CONNECTS, TAKEN_OVER) == []
    judge.unable.discard("a")
    assert len(_told(judge, A_PINGS)) == 1


def test_more_takeovers_than_changes_of_the_owner_are_wrong(judge: Judge) -> None:
    # The first to connect takes nothing over.
    assert _told(judge, A_CONNECTS, A_ENDS, B_CONNECTS, TAKEN_OVER) == []
    assert len(_told(judge, TAKEN_OVER)) == 1
