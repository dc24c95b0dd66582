"""Down: since when, whose fault, and what ends a long wait."""

from __future__ import annotations

import pytest

from database.words import ConnectionState as State
from mqttworker.core import events, verdicts
from mqttworker.core.cause import cause
from tests.worker.core import lives
from tests.worker.core.lives import EVERY_STATE, Walk

CLOSED = events.Lost(cause("peer_closed"))
FAILED = events.Failed(cause("tcp_refused"))

# --- since when it is down ----------------------------------------------------------------


def test_it_is_down_since_its_session_was_lost_whatever_fails_afterwards() -> None:
    walk = lives.connected()
    lost_at = walk.on(CLOSED, after=5.0).now
    walk.due().on(FAILED).due()
    assert walk.life.down_since == lost_at
    assert walk.on(events.Opened("5")).life.down_since is None


def test_it_is_down_since_its_first_try_failed() -> None:
    walk = lives.connecting()
    failed_at = walk.on(FAILED, after=5.0).now
    assert walk.due().on(FAILED).life.down_since == failed_at


def test_what_is_not_wanted_is_not_down() -> None:
    assert lives.in_backoff().on(events.Stop(cause("disabled"))).life.down_since is None


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize("door_open", [True, False])
@pytest.mark.parametrize("seconds", [1.0, 100.0])
def test_a_silent_close_is_the_brokers_if_its_door_is_shut_or_a_long_session_was_not_alone(
    alone: bool, door_open: bool, seconds: float
) -> None:
    lost = events.Lost(cause("peer_closed"), alone, door_open)
    walk = lives.connected().on(lost, after=seconds)
    assert walk.life.is_cut_off == (not door_open or (seconds > 30 and not alone))


# --- the broker is back ------------------------------------------------------------------


def _cut_off(code: str = "tcp_refused", times: int = 6) -> Walk:
    """Wait long, after so many tries that did not reach the broker."""
    walk = lives.connecting()
    for _ in range(times):
        walk.on(events.Failed(cause(code)), after=2.0, draw=0.9).due()
    return walk.on(events.Failed(cause(code)), after=2.0, draw=0.9)


@pytest.mark.parametrize("code", sorted(verdicts.UNREACHABLE))
def test_a_long_backoff_ends_when_the_broker_is_back(code: str) -> None:
    walk = _cut_off(code)
    failures = walk.life.failures
    walk.on(events.Sooner(walk.now + 5.0), after=2.0)
    assert (walk.state, walk.wait) == (State.BACKOFF, 3.0)
    assert walk.life.failures == failures
    assert walk.due().state is State.CONNECTING


def test_a_long_backoff_ends_when_the_broker_is_back_notyet() -> None:
    walk = _cut_off()
    before = walk.life
    assert walk.on(events.Sooner(walk.now + 1000.0)).life == before
    assert walk.on(events.Due()).state is State.BACKOFF


def test_a_broker_that_is_back_is_met_a_second_after_the_last_connect() -> None:
    walk = _cut_off("connack_timeout").on(events.Sooner(0.0), after=0.25)
    assert walk.wait == 0.75
    walk.on(events.Due(), after=0.74)
    assert walk.state is State.BACKOFF


@pytest.mark.parametrize("code", ["server_busy", "protocol_error", "tls_expired", "not_authorized"])
def test_who_has_another_reason_to_wait_goes_on_waiting(code: str) -> None:
    walk = _cut_off(code)
    before = walk.life
    assert walk.on(events.Sooner(walk.now), after=2.0).life is before


@pytest.mark.parametrize("name", sorted(EVERY_STATE.keys() - {"backoff"}))
def test_only_who_waits_for_the_broker_is_hurried(name: str) -> None:
    walk = EVERY_STATE[name]()
    before = walk.life
    assert walk.on(events.Sooner(walk.now), after=2.0).life is before
