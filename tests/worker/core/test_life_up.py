"""The arrows of a connection that has a session, and those that end it: one test an arrow."""

from __future__ import annotations

import pytest

from database.words import ConnectionState as State
from mqttworker.core import events, life
from mqttworker.core.cause import cause
from mqttworker.core.life import step
from tests.worker.core import lives
from tests.worker.core.lives import EVERY_STATE

CLOSED = events.Lost(cause("peer_closed"))
FAILED = events.Failed(cause("tcp_refused"))


@pytest.mark.parametrize("name", ["connected", "degraded"])
def test_up_to_backoff_when_the_session_is_lost(name: str) -> None:
    walk = EVERY_STATE[name]().on(events.Lost(cause("keepalive_timeout")), after=31.0)
    assert (walk.state, walk.commands) == (State.BACKOFF, ())
    assert walk.life.connected_at is None
    assert walk.life.why.code == "keepalive_timeout"
    assert walk.wait == pytest.approx(0.5)


def test_a_short_session_waits_longer() -> None:
    walk = lives.connected().on(events.Lost(cause("keepalive_timeout")), after=29.9)
    assert walk.wait == pytest.approx(0.75)


def test_connected_to_cooldown_when_the_broker_names_a_rival() -> None:
    walk = lives.in_cooldown()
    assert (walk.state, walk.commands) == (State.COOLDOWN, ())
    assert walk.wait == pytest.approx(60.0)
    assert walk.life.why.code == "session_taken_over"


def test_cooldown_to_connecting_when_due() -> None:
    assert lives.in_cooldown().due().commands == (events.Open("5"),)


def test_cooldown_to_connecting_notyet() -> None:
    walk = lives.in_cooldown()
    walk.on(events.Due(), after=walk.wait - 0.01)
    assert (walk.state, walk.commands) == (State.COOLDOWN, ())


def test_connected_to_cooldown_when_only_another_client_id_is_let_stand() -> None:
    walk = lives.connecting()
    for with_other_client_id in (False, True):
        walk.on(events.Opened("5"), after=0.1).on(CLOSED, after=1.0).due()
        assert walk.commands == (events.Open("5", with_other_client_id),)
    walk.on(events.Opened("5"), after=0.1).on(events.Outlived(), after=31.0)
    assert (walk.state, walk.commands) == (State.BACKOFF, (events.Close(),))
    walk.on(events.Closed(), after=0.1).due()
    assert walk.commands == (events.Open("5"),)
    walk.on(events.Opened("5"), after=0.1).on(CLOSED, after=1.0)
    assert (walk.state, walk.life.why.code) == (State.COOLDOWN, "duplicate_client_id")
    assert walk.life.why.detail["sessions"] == 3


def test_a_stable_session_clears_what_went_before() -> None:
    walk = lives.in_backoff().due().on(events.Failed(cause("tcp_refused"))).due()
    assert (walk.life.attempt, walk.life.failures) == (3, 2)
    walk.on(events.Opened("5")).on(CLOSED, after=30.0)
    assert (walk.life.attempt, walk.life.failures) == (0, 1)


def test_a_stable_session_clears_what_went_before_notyet() -> None:
    walk = lives.in_backoff().due().on(events.Failed(cause("tcp_refused"))).due()
    walk.on(events.Opened("5")).on(CLOSED, after=29.9)
    assert (walk.life.attempt, walk.life.failures) == (3, 3)


# --- stop -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["connected", "degraded"])
def test_up_to_stopping_when_stopped(name: str) -> None:
    walk = EVERY_STATE[name]().on(events.Stop(cause("disabled")), after=1.0)
    assert (walk.state, walk.commands) == (State.STOPPING, (events.Close(),))
    assert walk.wait == life.CLOSE_TIMEOUT
    assert not walk.life.is_over


@pytest.mark.parametrize(
    "name", ["pending", "connecting", "backoff", "refused", "cooldown", "config_error"]
)
def test_down_to_over_when_stopped(name: str) -> None:
    walk = EVERY_STATE[name]().on(events.Stop(cause("worker_shutdown")))
    assert walk.life.is_over
    assert walk.commands == (events.Abort(),)


@pytest.mark.parametrize("event", [events.Closed(), CLOSED], ids=["closed", "lost"])
def test_stopping_to_over_when_the_session_is_gone(event: events.Event) -> None:
    walk = lives.stopping().on(event, after=0.1)
    assert walk.life.is_over
    assert (walk.state, walk.commands, walk.life.due_at) == (State.STOPPING, (), None)


def test_stopping_to_over_when_it_hangs() -> None:
    walk = lives.stopping().due()
    assert walk.life.is_over
    assert walk.commands == (events.Abort(),)


def test_stopping_to_over_when_it_hangs_notyet() -> None:
    walk = lives.stopping().on(events.Due(), after=life.CLOSE_TIMEOUT - 0.01)
    assert (walk.life.is_over, walk.commands) == (False, ())


def test_stopping_to_disabled_when_the_record_was_disabled() -> None:
    walk = lives.connected().on(events.Stop(cause("disabled"))).on(events.Closed())
    assert (walk.state, walk.life.is_over) == (State.DISABLED, True)


def test_a_second_stop_changes_nothing() -> None:
    walk = lives.stopping()
    before = walk.life
    walk.on(events.Stop(cause("disabled")), after=1.0)
    assert (walk.life, walk.commands) == (before, ())


# --- reconnect --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["pending", "connecting", "connected", "degraded", "backoff", "refused", "cooldown"],
)
def test_anything_to_backoff_when_a_reconnect_is_wanted(name: str) -> None:
    walk = EVERY_STATE[name]().on(events.Reconnect(cause("operator_reconnect")), after=2.0)
    assert (walk.state, walk.commands) == (State.BACKOFF, (events.Abort(),))
    assert (walk.life.failures, walk.life.cooldowns, walk.life.evidence) == (0, 0, ())
    assert walk.due().commands == (events.Open("5"),)
    assert walk.wait > 0


def test_a_wanted_reconnect_keeps_a_second_from_the_last_try() -> None:
    walk = lives.connected().on(events.Reconnect(cause("operator_reconnect")), after=0.25)
    assert walk.wait == 0.75


def test_a_reconnect_does_not_open_a_record_that_cannot_be_used() -> None:
    walk = lives.in_config_error()
    before = walk.life
    walk.on(events.Reconnect(cause("operator_reconnect")), after=2.0)
    assert (walk.life, walk.commands) == (before, ())


def test_a_reconnect_does_not_keep_a_connection_from_stopping() -> None:
    walk = lives.stopping().on(events.Reconnect(cause("operator_reconnect")))
    assert (walk.state, walk.commands) == (State.STOPPING, ())


# --- late reports -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "event"),
    [
        *((name, events.Opened("5")) for name in sorted(EVERY_STATE.keys() - {"connecting"})),
        *((name, FAILED) for name in sorted(EVERY_STATE.keys() - {"connecting"})),
        *(
            (name, CLOSED)
            for name in sorted(EVERY_STATE.keys() - {"connected", "degraded", "stopping"})
        ),
        *((name, events.Closed()) for name in sorted(EVERY_STATE.keys() - {"stopping"})),
    ],
)
def test_a_late_report_changes_nothing(name: str, event: events.Event) -> None:
    walk = EVERY_STATE[name]()
    before = walk.life
    walk.on(event)
    assert (walk.life, walk.commands) == (before, ())


def test_nothing_happens_after_the_end() -> None:
    over = lives.stopping().on(events.Closed()).life
    for event in (
        events.Start(cause("enabled")),
        events.Due(),
        events.Reconnect(cause("operator_reconnect")),
        events.Stop(cause("disabled")),
    ):
        assert step(over, event, 1e6, 0.5) == (over, ())


# --- a session that stands and does not do what it should


MISSED = events.Impaired(cause("self_ping_missed", seconds=5))
RETURNED = events.Recovered(cause("self_ping_returned"))


def test_connected_to_degraded_when_a_self_ping_is_missed() -> None:
    walk = lives.connected().on(MISSED, after=5.0)
    assert (walk.state, walk.commands) == (State.DEGRADED, ())
    assert walk.life.why.code == "self_ping_missed"
    assert walk.life.connected_at is not None


def test_degraded_to_connected_when_the_self_ping_returns() -> None:
    walk = lives.connected().on(MISSED, after=5.0).on(RETURNED, after=5.0)
    assert (walk.state, walk.life.why.code) == (State.CONNECTED, "self_ping_returned")


def test_a_refused_filter_outlasts_a_self_ping_that_returns() -> None:
    walk = lives.degraded().on(MISSED, after=5.0)
    assert walk.life.why.code == "self_ping_missed"
    walk.on(RETURNED, after=5.0)
    assert (walk.state, walk.life.why.code) == (State.DEGRADED, "subscribe_refused")


@pytest.mark.parametrize("name", ["connected", "degraded"])
def test_up_to_backoff_when_traffic_does_not_flow(name: str) -> None:
    walk = EVERY_STATE[name]().on(events.Broken(cause("self_ping_failed")), after=10.0)
    assert (walk.state, walk.commands) == (State.BACKOFF, (events.Abort(),))
    assert walk.life.evidence == ()


@pytest.mark.parametrize("name", ["connected", "degraded"])
def test_up_to_cooldown_when_a_rival_left_its_name(name: str) -> None:
    walk = EVERY_STATE[name]().on(events.RivalNamed(cause("duplicate_client_id")), after=1.0)
    assert (walk.state, walk.commands) == (State.COOLDOWN, (events.Close(),))
    assert walk.wait == pytest.approx(60.0)


@pytest.mark.parametrize(
    "event",
    [
        MISSED,
        RETURNED,
        events.Broken(cause("self_ping_failed")),
        events.Greeted(),
        events.Outlived(),
    ],
)
@pytest.mark.parametrize("name", sorted(EVERY_STATE.keys() - {"connected", "degraded"}))
def test_news_of_a_session_that_is_gone_changes_nothing(name: str, event: events.Event) -> None:
    walk = EVERY_STATE[name]()
    before = walk.life
    assert walk.on(event, after=0.1).life == before
