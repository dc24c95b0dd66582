"""`auto`: what makes the other MQTT version have its turn, and what is told of both."""

from __future__ import annotations

from dataclasses import replace

import pytest

from database.reasons import explain
from database.words import ConnectionState as State
from database.words import Protocol
from mqttworker.core import events, versions
from mqttworker.core.cause import Cause, cause, completed
from mqttworker.core.fallback import TRY_5_AGAIN, Fallback, fingerprint, from_json, to_json
from mqttworker.core.life import Life
from mqttworker.core.spec import ConnectionSpec, TLSSettings
from tests.worker.core import lives
from tests.worker.core.lives import Walk

ODD = replace(cause("protocol_error", error="a Maximum QoS of 2"), is_version_misfit=True)
ODD_TOO = replace(cause("protocol_error", error="a CONNACK of 3 bytes"), is_version_misfit=True)
UNSUPPORTED = cause("unsupported_protocol_version", protocol="3.1.1")


def _fell_back(why: Cause = ODD) -> Walk:
    """In the first try with 3.1.1, after MQTT 5 did not work."""
    walk = lives.connecting("auto").on(events.Failed(why), after=0.1)
    assert (walk.state, walk.wait) == (State.BACKOFF, 1.0)
    walk.due()
    assert walk.commands == (events.Open(Protocol.V311),)
    return walk


def _told(walk: Walk) -> str:
    return explain(walk.life.why.code, walk.life.why.detail)


def test_an_odd_connack_lets_auto_try_the_other_version() -> None:
    walk = _fell_back().on(events.Opened(Protocol.V311), after=0.1)
    assert walk.state is State.CONNECTED
    assert walk.life.why.code == "success"
    assert _told(walk) == (
        "The broker accepted the connection. With MQTT 5 it did not work: "
        "The broker broke the protocol: a Maximum QoS of 2."
    )


def test_a_fallback_is_told_again_after_every_reconnect() -> None:
    walk = _fell_back().on(events.Opened(Protocol.V311), after=0.1)
    walk.on(events.Lost(cause("peer_closed")), after=100.0).due()
    walk.on(events.Opened(Protocol.V311, ("a/#",), 0x80), after=0.1)
    assert walk.state is State.DEGRADED
    assert "With MQTT 5 it did not work" in _told(walk)


def test_a_fixed_version_is_kept_whatever_its_connack_is() -> None:
    walk = lives.connecting("5").on(events.Failed(ODD), after=0.1).due()
    assert walk.commands == (events.Open(Protocol.V5),)


def test_a_violation_that_says_nothing_of_the_version_changes_none() -> None:
    plain = cause("protocol_error", error="packet type 4 must not come from a broker")
    walk = lives.connecting("auto").on(events.Failed(plain), after=0.1).due()
    assert walk.commands == (events.Open(Protocol.V5),)


def test_a_violation_later_in_the_session_changes_no_version() -> None:
    walk = lives.connecting("auto").on(events.Opened(Protocol.V5), after=0.1)
    walk.on(events.Lost(cause("protocol_error", error="a second CONNACK")), after=1.0).due()
    assert walk.commands == (events.Open(Protocol.V5),)


@pytest.mark.parametrize(
    "second",
    [
        UNSUPPORTED,
        cause("closed_before_connack"),
        cause("connack_timeout", seconds=10),
        ODD_TOO,
        cause("not_authorized"),
        cause("suback_timeout", seconds=10),
    ],
    ids=lambda why: why.code,
)
def test_mqtt_5_has_its_turn_again_where_3_1_1_fails_too(second: Cause) -> None:
    walk = _fell_back().on(events.Failed(second), after=0.1)
    assert "Maximum QoS of 2" in _told(walk)
    assert walk.due().commands == (events.Open(Protocol.V5),)
    # The broker was mended meanwhile: nothing is told of 3.1.1 any more.
    walk.on(events.Opened(Protocol.V5), after=0.1)
    assert _told(walk) == "The broker accepted the connection."


def test_both_versions_are_tried_more_and_more_slowly_and_the_helpful_reason_stays() -> None:
    walk, waits = _fell_back(), []
    for number in range(10):
        walk.on(events.Failed(ODD if number % 2 else UNSUPPORTED), after=0.1, draw=1.0)
        assert walk.life.why.code == "protocol_error"
        assert _told(walk).startswith("The broker broke the protocol: a Maximum QoS of 2. With")
        waits.append(walk.wait)
        walk.due()
    assert waits == sorted(waits)
    assert waits[-1] == 30.0


@pytest.mark.parametrize("code", ["tcp_refused", "server_unavailable"])
def test_a_try_that_says_nothing_of_3_1_1_leaves_it_its_turn(code: str) -> None:
    walk = _fell_back().on(events.Failed(cause(code)), after=0.1)
    assert walk.due().commands == (events.Open(Protocol.V311),)


def test_a_broker_that_says_that_it_does_not_know_mqtt_5_is_believed() -> None:
    walk = _fell_back(cause("unsupported_protocol_version", protocol="5"))
    walk.on(events.Failed(cause("not_authorized")), after=0.1)
    assert walk.state is State.REFUSED
    assert walk.due().commands == (events.Open(Protocol.V311),)


def test_a_refusal_of_3_1_1_is_believed_after_mqtt_5_was_not_answered() -> None:
    silent = cause("connack_timeout", seconds=10)
    walk = _fell_back(silent).on(events.Failed(cause("not_authorized")), after=0.1)
    assert walk.due().commands == (events.Open(Protocol.V311),)
    walk = _fell_back(silent).on(events.Failed(cause("suback_timeout", seconds=10)), after=0.1)
    assert walk.due().commands == (events.Open(Protocol.V5),)


def test_of_two_reasons_that_help_alike_that_of_mqtt_5_comes_first_always() -> None:
    walk = _fell_back()
    for why in (ODD_TOO, ODD, ODD_TOO):
        walk.on(events.Failed(why), after=0.1)
        assert _told(walk).startswith("The broker broke the protocol: a Maximum QoS of 2. With")
        walk.due()


def test_a_reason_that_both_versions_share_is_told_once() -> None:
    closed = cause("closed_before_connack")
    assert "other_version" not in versions.told(Protocol.V311, closed, closed).detail


def test_the_other_reason_is_completed_with_what_is_known_of_the_connection() -> None:
    other = cause("client_identifier_not_valid", protocol="5")
    why = versions.beside(cause("success"), Protocol.V5, other)
    whole = completed(why, {"client_id": "plant"})
    assert "does not accept client id plant" in explain(whole.code, whole.detail)


@pytest.mark.parametrize("other", ["x", {}, {"protocol": "5"}, {"code": "gone"}, None])
def test_a_stored_detail_that_is_odd_costs_no_sentence(other: object) -> None:
    assert explain("success", {"other_version": other}).startswith("The broker accepted")


# --- a password without a user name -------------------------------------------------------


@pytest.mark.parametrize(
    ("why", "state"),
    [
        (cause("unsupported_protocol_version", protocol="5"), State.REFUSED),
        (cause("closed_before_connack"), State.BACKOFF),
        (cause("connack_timeout", seconds=5), State.BACKOFF),
        (ODD, State.BACKOFF),
    ],
)
def test_a_login_that_3_1_1_cannot_carry_is_tried_with_mqtt_5_alone(
    why: Cause, state: State
) -> None:
    walk = Walk(life=Life("auto", lives.TIMEOUT, needs_mqtt_5=True))
    walk.on(events.Start(cause("enabled")))
    for _ in range(3):
        walk.on(events.Failed(why), after=0.1)
        assert (walk.state, walk.life.why.code) == (state, why.code)
        assert walk.life.why.detail["other_version"]["code"] == "password_needs_user_name"
        assert "MQTT 3.1.1 carries no password without a user name" in _told(walk)
        walk.due()
        assert walk.commands == (events.Open(Protocol.V5),)


def test_other_failures_say_nothing_of_the_version() -> None:
    walk = Walk(life=Life("auto", lives.TIMEOUT, needs_mqtt_5=True))
    walk.on(events.Start(cause("enabled"))).on(events.Failed(cause("tcp_refused")), after=0.1)
    assert "other_version" not in walk.life.why.detail


@pytest.mark.parametrize(
    ("username", "password", "needs_it"),
    [(None, "x", True), ("", "x", True), ("u", "x", False), ("u", None, False), (None, "", False)],
)
def test_which_login_needs_mqtt_5(username: str | None, password: str, needs_it: bool) -> None:
    spec = ConnectionSpec(1, "h", 1883, "c", username=username, password=password)
    assert spec.needs_mqtt_5 is needs_it


# --- what is remembered of a broker that wants 3.1.1 ----------------------------------------


def test_mqtt_5_has_its_turn_again_after_a_day() -> None:
    walk = _fell_back().on(events.Opened(Protocol.V311), after=0.1)
    for after, protocol in ((TRY_5_AGAIN - 10.0, Protocol.V311), (TRY_5_AGAIN, Protocol.V5)):
        walk.on(events.Lost(cause("keepalive_timeout", seconds=7)), after=after - walk.now + 1000)
        assert walk.due().commands == (events.Open(protocol),)
        if protocol is Protocol.V311:
            walk.on(events.Opened(Protocol.V311), after=0.1)
    # It has not been upgraded: 3.1.1 follows soon, and MQTT 5 a day later.
    walk.on(events.Failed(ODD), after=0.1)
    assert walk.wait <= 2.0
    assert walk.due().commands == (events.Open(Protocol.V311),)
    assert walk.life.tried_5_at > 1000.0 + TRY_5_AGAIN


def test_what_is_remembered_is_of_one_broker_and_makes_sense() -> None:
    spec = ConnectionSpec(1, "h", 1883, "a")
    known = Fallback(fingerprint(spec), 1000.0, cause("protocol_error", error="x"))
    assert from_json(to_json(known)) == known
    assert known.is_for(replace(spec, host="H.", client_id="b", keepalive_s=9))
    for other in (
        replace(spec, host="i"),
        replace(spec, port=1884),
        replace(spec, tls=TLSSettings()),
    ):
        assert not known.is_for(other)
    tls = replace(spec, tls=TLSSettings())
    assert fingerprint(tls) != fingerprint(replace(spec, tls=TLSSettings(verify=False)))
    stored = to_json(known)
    assert stored is not None
    broken: tuple[object, ...] = (
        None,
        [],
        {},
        stored | {"code": "?"},
        stored | {"tried_5_at": "x"},
    )
    for nonsense in broken:
        assert from_json(nonsense) is None
