"""What can wait goes after what cannot, and not for ever."""

from __future__ import annotations

import time

import pytest
from gevent.event import Event

from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.turns import PATIENCE, PER_TURN, Turns
from tests.worker.contract.sessions import PATIENCE as LONG
from tests.worker.contract.sessions import settle


@pytest.fixture
def turns(hub_loop: HubLoop) -> Turns:
    """Fresh turns."""
    return Turns(hub_loop)


def test_urgent_work_goes_first(turns: Turns, hub_loop: HubLoop) -> None:
    done: list[str] = []
    turns.patiently(lambda: done.append("patient"))
    for _ in range(2 * PER_TURN):
        turns.urgently(lambda: done.append("urgent"))
    settle(hub_loop)
    assert done == [*["urgent"] * 2 * PER_TURN, "patient"]


def test_patient_work_waits_for_the_tries_to_end(turns: Turns, hub_loop: HubLoop) -> None:
    done = Event()
    turns.try_began()
    turns.try_began()
    turns.patiently(done.set)
    turns.try_ended()
    settle(hub_loop)
    assert not done.is_set()
    turns.try_ended()
    assert done.wait(LONG)


def test_a_try_that_does_not_end_holds_patient_work_up_for_a_moment_only(turns: Turns) -> None:
    done = Event()
    turns.try_began()
    started = time.monotonic()
    turns.patiently(done.set)
    assert done.wait(LONG)
    assert PATIENCE <= time.monotonic() - started < PATIENCE + 0.3


def test_work_that_fails_holds_nobody_up(turns: Turns, hub_loop: HubLoop) -> None:
    failed: list[str] = []
    hub_loop.loop.set_exception_handler(lambda _loop, context: failed.append(context["message"]))
    done = Event()
    turns.urgently(lambda: 1 / 0)
    settle(hub_loop)
    turns.urgently(done.set)
    assert done.wait(LONG)
    assert failed == ["a piece of work failed"]
