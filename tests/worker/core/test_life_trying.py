"""The arrows of a connection that has no session: one test an arrow."""

from __future__ import annotations

import pytest

from database.words import ConnectionState as State
from mqttworker.core import events, life, verdicts
from mqttworker.core.cause import cause
from tests.worker.core import lives
from tests.worker.core.lives import EVERY_STATE, TIMEOUT, Walk


def test_pending_to_connecting_when_started() -> None:
    walk = lives.connecting()
    assert (walk.state, walk.commands) == (State.CONNECTING, (events.Open("5"),))
    assert walk.life.attempt == 1
    assert walk.life.why.code == "enabled"


def test_pending_to_config_error_when_the_record_cannot_be_used() -> None:
    walk = lives.in_config_error()
    assert (walk.state, walk.commands) == (State.CONFIG_ERROR, ())
    assert walk.life.due_at is None
    assert walk.life.why.code == "config_error"


def _edited_after(seconds: float) -> Walk:
    """Start again as an edited record does, so many seconds after the last CONNECT."""
    walk = lives.connecting()
    walk.life = life.Life("5", TIMEOUT, tried_at=walk.now)
    return walk.on(events.Start(cause("config_changed")), after=seconds)


def test_pending_to_connecting_a_second_after_the_last_try() -> None:
    assert _edited_after(1.0).state is State.CONNECTING
    assert _edited_after(0.25).due().commands == (events.Open("5"),)


def test_pending_to_connecting_notyet() -> None:
    walk = _edited_after(0.25)
    assert (walk.state, walk.commands, walk.wait) == (State.PENDING, (), 0.75)
    assert walk.on(events.Due(), after=0.7).state is State.PENDING


def test_connecting_to_connected_when_the_session_is_up() -> None:
    walk = lives.connected()
    assert (walk.state, walk.commands) == (State.CONNECTED, ())
    assert walk.life.connected_at == walk.now
    assert walk.life.due_at is None
    assert walk.life.why.code == "success"


def test_connecting_to_degraded_when_a_filter_is_refused() -> None:
    walk = lives.degraded()
    assert (walk.state, walk.commands) == (State.DEGRADED, ())
    assert walk.life.why == cause("subscribe_refused", raw_code=0x87, filters="a/#")
    assert walk.life.connected_at == walk.now


@pytest.mark.parametrize("code", ["tcp_refused", "dns_failed", "tls_expired"])
def test_connecting_to_backoff_when_the_broker_is_not_reached(code: str) -> None:
    walk = lives.connecting().on(events.Failed(cause(code)), after=2.0)
    assert (walk.state, walk.commands) == (State.BACKOFF, ())
    assert walk.life.why.code == code
    assert walk.wait == pytest.approx(0.5)
    assert walk.life.failures == 1


@pytest.mark.parametrize("code", ["connack_timeout", "peer_closed", "tls_failed"])
def test_connecting_to_backoff_when_the_broker_may_have_got_a_connect(code: str) -> None:
    walk = lives.connecting().on(events.Failed(cause(code)), after=2.0)
    assert walk.state is State.BACKOFF
    # A second from the failure, for the CONNECT may have left at any time before, and jitter.
    assert walk.wait == 1.5


@pytest.mark.parametrize("code", sorted(verdicts.BUSY))
def test_connecting_to_a_longer_backoff_when_the_broker_asks_for_patience(code: str) -> None:
    walk, waits = lives.connecting(), []
    for _ in range(6):
        walk.on(events.Failed(cause(code)), after=0.1, draw=0.0)
        assert walk.state is State.BACKOFF
        waits.append(walk.wait)
        walk.due()
    assert waits == pytest.approx([5, 10, 20, 40, 60, 60])


def test_another_failure_ends_a_series_of_pleas_for_patience() -> None:
    walk = lives.connecting()
    for code in ("server_busy", "server_busy", "tcp_refused"):
        walk.on(events.Failed(cause(code)), after=0.1).due()
    assert walk.on(events.Failed(cause("server_busy")), draw=0.0).wait == pytest.approx(5)


def test_connecting_to_backoff_when_the_port_refuses() -> None:
    walk = lives.in_backoff()
    assert (walk.state, walk.life.why.code) == (State.BACKOFF, "tcp_refused")
    # A client id connects once a second at most; the half second that was drawn comes on top.
    assert walk.life.due_at == walk.life.tried_at + 1.5


def test_connecting_to_cooldown_when_the_broker_names_a_rival() -> None:
    walk = lives.connecting().on(events.Failed(cause("session_taken_over")), after=0.1)
    assert (walk.state, walk.commands) == (State.COOLDOWN, ())
    assert walk.wait == pytest.approx(60.0)


def test_backoff_to_connecting_when_due() -> None:
    walk = lives.in_backoff().due()
    assert (walk.state, walk.commands) == (State.CONNECTING, (events.Open("5"),))
    assert walk.life.attempt == 2
    assert walk.life.why.code == "tcp_refused"


def test_backoff_to_connecting_notyet() -> None:
    walk = lives.in_backoff()
    before = walk.life
    assert walk.on(events.Due(), after=walk.wait - 0.01).life is before
    assert walk.commands == ()


def test_connecting_to_backoff_when_it_is_stuck() -> None:
    walk = lives.connecting()
    walk.on(events.Due(), after=TIMEOUT + life.CONNECT_SLACK)
    assert (walk.state, walk.commands) == (State.BACKOFF, (events.Abort(),))
    assert walk.life.why == cause("no_progress", state=State.CONNECTING, seconds=13)


def test_connecting_to_backoff_when_it_is_stuck_notyet() -> None:
    walk = lives.connecting().on(events.Due(), after=TIMEOUT + life.CONNECT_SLACK - 0.01)
    assert (walk.state, walk.commands) == (State.CONNECTING, ())


@pytest.mark.parametrize("code", sorted(verdicts.REFUSALS - {"use_another_server"}))
def test_connecting_to_refused_when_the_broker_says_no_for_good(code: str) -> None:
    walk = lives.connecting().on(events.Failed(cause(code)), after=0.1)
    assert (walk.state, walk.life.why.code) == (State.REFUSED, code)
    assert 54 <= walk.wait <= 60


def test_connecting_to_a_short_refusal_when_another_server_is_to_be_used_for_a_while() -> None:
    walk = lives.connecting()
    for _ in range(5):
        walk.on(events.Failed(cause("use_another_server", server="b.example")), after=0.1)
        assert walk.state is State.REFUSED
        assert 15 <= walk.wait <= 30
        walk.due()


def test_refused_to_connecting_when_due() -> None:
    assert lives.refused().due().commands == (events.Open("5"),)


def test_refused_to_connecting_notyet() -> None:
    walk = lives.refused()
    walk.on(events.Due(), after=walk.wait - 0.01)
    assert (walk.state, walk.commands) == (State.REFUSED, ())


def test_refused_again_waits_longer_up_to_five_minutes() -> None:
    walk, waits = lives.connecting(), []
    for _ in range(5):
        walk.on(events.Failed(cause("banned")), after=0.1, draw=1.0)
        waits.append(round(walk.wait))
        walk.due()
    assert waits == [60, 120, 240, 300, 300]


@pytest.mark.parametrize("code", sorted(verdicts.FLAWS))
def test_connecting_to_config_error_when_only_an_edit_can_help(code: str) -> None:
    walk = lives.connecting().on(events.Failed(cause(code)), after=0.1)
    assert (walk.state, walk.commands, walk.life.due_at) == (State.CONFIG_ERROR, (), None)


@pytest.mark.parametrize("name", ["backoff", "cooldown", "refused"])
def test_a_postponed_try_waits_for_the_later_moment(name: str) -> None:
    walk = EVERY_STATE[name]()
    later = walk.now + 1000
    assert walk.on(events.Postponed(later)).life.next_attempt_at == later


@pytest.mark.parametrize("name", ["connecting", "connected", "degraded", "stopping"])
def test_what_does_not_wait_cannot_be_postponed(name: str) -> None:
    walk = EVERY_STATE[name]()
    before = walk.life
    assert walk.on(events.Postponed(walk.now + 1000)).life is before


# --- auto: MQTT 5 first, then 3.1.1 ------------------------------------------------------


def test_auto_tries_the_new_version_first() -> None:
    assert lives.connecting("auto").commands == (events.Open("5"),)


@pytest.mark.parametrize("code", sorted(verdicts.VERSION_REFUSALS))
def test_auto_tries_the_other_version_at_once_but_not_within_a_second(code: str) -> None:
    walk = lives.connecting("auto").on(events.Failed(cause(code)), after=0.1)
    assert walk.state is State.BACKOFF
    assert walk.wait == 1.0
    assert walk.due().commands == (events.Open("3.1.1"),)


def test_auto_stays_with_the_version_that_worked() -> None:
    walk = lives.connecting("auto").on(events.Failed(cause("unsupported_protocol_version")))
    walk.due().on(events.Opened("3.1.1"), after=0.1)
    walk.on(events.Lost(cause("peer_closed")), after=100.0)
    assert walk.due().commands == (events.Open("3.1.1"),)


def test_auto_alternates_with_backoff_when_neither_version_works() -> None:
    walk, tried, waits = lives.connecting("auto"), [], []
    for _ in range(8):
        tried += [command.protocol for command in walk.commands if isinstance(command, events.Open)]
        walk.on(events.Failed(cause("closed_before_connack")), after=0.1, draw=1.0)
        waits.append(walk.wait)
        walk.due()
    assert tried == ["5", "3.1.1"] * 4
    assert waits == sorted(waits)
    assert waits[-1] == 30.0


def test_a_fixed_version_is_never_changed() -> None:
    walk = lives.connecting("5").on(events.Failed(cause("unsupported_protocol_version")))
    assert walk.state is State.REFUSED
    assert walk.due().commands == (events.Open("5"),)


def test_a_try_that_is_given_up_may_have_sent_its_connect_just_now() -> None:
    again = lives.connecting().on(events.Reconnect(cause("operator_reconnect")), after=2.0)
    assert (again.state, again.wait) == (State.BACKOFF, 1.0)
    stopped = lives.connecting().on(events.Stop(cause("config_changed")), after=2.0)
    assert stopped.life.tried_at == stopped.now


def test_a_will_message_that_is_refused_for_its_qos_is_tried_with_a_lower_one() -> None:
    refused = events.Failed(cause("qos_not_supported", raw_code=0x9B))
    walk = Walk(life=life.Life("5", TIMEOUT, will_qos=2)).on(events.Start(cause("enabled")))
    for will_qos in (1, 0):
        walk.on(refused, after=0.1)
        assert walk.state is State.BACKOFF
        assert walk.wait == pytest.approx(1.0)
        assert walk.due().commands == (events.Open("5", will_qos=will_qos),)
    assert walk.on(refused, after=0.1).state is State.REFUSED
