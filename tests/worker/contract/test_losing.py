"""A session that ends without our doing is reported once, with its reason, and stays ended."""

from __future__ import annotations

import time
from collections.abc import Callable

import gevent
import pytest

from mqttworker.adapters import process
from mqttworker.core.events import Lost, Opened
from mqttworker.core.spec import SubscriptionSpec
from tests.support import packets, scripts
from tests.support.fault_proxy import FaultProxy
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.contract.conftest import MAX_PACKET, OpenTry
from tests.worker.contract.deaf_broker import DeafBroker
from tests.worker.contract.sessions import in_thread, spec_for

QUICK = 0.5  # seconds
ANYTHING = (SubscriptionSpec("#", 1),)
VERSIONS = pytest.mark.parametrize(("protocol", "version"), [("5", 5), ("3.1.1", 4)])


@pytest.mark.parametrize(
    ("script", "reasons"),
    [
        (scripts.close_after(0.05), {"peer_closed"}),
        (scripts.close_after(0.05, reset=True), {"connection_reset"}),
        (scripts.taken_over(0.05), {"session_taken_over"}),
        (Script(close_after=0.05, last_words=packets.disconnect(0x8B)), {"server_shutting_down"}),
        (Script(close_after=0.05, last_words=packets.disconnect(0x00)), {"disconnected"}),
        (Script(close_after=0.05, last_words=bytes([0xE0, 0])), {"disconnected"}),
    ],
)
def test_a_loss_is_reported_once_and_nothing_reconnects(
    scripted_broker: ScriptedBroker, open_try: OpenTry, script: Script, reasons: set[str]
) -> None:
    scripted_broker.next_scripts.append(script)
    attempt = open_try(spec_for(scripted_broker.port))
    assert attempt.loss(QUICK).code in reasons
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    # gmqtt alone would be back after 6 s, or at once; nothing is left that could be.
    assert [type(event) for event in attempt.events] == [Opened, Lost]
    assert len(scripted_broker.sessions) == 1
    assert not attempt.session.is_open


def test_a_broker_of_311_must_not_say_disconnect(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = Script(close_after=0.05, last_words=bytes([0xE0, 0]))
    assert open_try(spec_for(scripted_broker.port), "3.1.1").loss(QUICK).code == "protocol_error"


# --- Keep Alive --------------------------------------------------------------------------


def test_an_idle_session_is_kept_alive(scripted_broker: ScriptedBroker, open_try: OpenTry) -> None:
    attempt = open_try(spec_for(scripted_broker.port, keepalive_s=1))
    attempt.opened()
    in_thread(scripted_broker.wait, lambda: scripted_broker.sessions[0].pings >= 3, 5.0)
    assert len(attempt.events) == 1
    assert attempt.session.is_open


def test_a_keep_alive_that_the_broker_chose_is_obeyed(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = Script(connack_properties=bytes([0x13, 0, 1]))
    open_try(spec_for(scripted_broker.port, keepalive_s=60)).opened()
    in_thread(scripted_broker.wait, lambda: scripted_broker.sessions[0].pings >= 1, 1.5)


@pytest.mark.timing
def test_a_broker_that_only_hears_is_dead_after_one_and_a_half_keep_alives(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = scripts.NO_PINGRESP
    attempt = open_try(spec_for(scripted_broker.port, keepalive_s=1, status_qos=0))
    attempt.opened()
    heard_at = time.monotonic()
    why = attempt.loss()
    assert why.code == "keepalive_timeout"
    assert 2.4 <= time.monotonic() - heard_at <= 2.5 + 0.3
    assert why.detail["seconds"] == pytest.approx(2.5, abs=0.3)


@pytest.mark.timing
def test_a_network_that_went_away_is_noticed_in_time(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    with FaultProxy(scripted_broker.port) as proxy:
        attempt = open_try(spec_for(proxy.port, keepalive_s=1))
        attempt.opened()
        in_thread(scripted_broker.wait, lambda: scripted_broker.sessions[0].publishes)
        proxy.stall()
        stalled_at = time.monotonic()
        assert attempt.loss().code == "keepalive_timeout"
        assert time.monotonic() - stalled_at <= 2.5 + 0.3


def test_a_line_with_two_seconds_round_trip_is_not_taken_for_dead(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    with FaultProxy(scripted_broker.port) as proxy:
        proxy.latency = 1.0
        attempt = open_try(spec_for(proxy.port, keepalive_s=2))
        attempt.opened()
        session = scripted_broker.sessions[0]
        in_thread(scripted_broker.wait, lambda: session.pings >= 3)
        assert [type(event) for event in attempt.events] == [Opened]


@pytest.mark.timing
def test_a_frozen_broker_with_unsent_data_is_noticed_in_time(open_try: OpenTry) -> None:
    with DeafBroker() as broker:
        # Far more than the socket buffers take: the rest waits in this process.
        spec = spec_for(broker.port, keepalive_s=1, online_payload="x" * 20_000_000)
        attempt = open_try(spec)
        attempt.opened()
        opened_at = time.monotonic()
        assert attempt.loss().code == "keepalive_timeout"
        assert time.monotonic() - opened_at <= 2.5 + 0.3


# --- giants; test_violations.py has the rest of what a hostile broker sends ----------------


@VERSIONS
@pytest.mark.parametrize("announced", [MAX_PACKET + 1, 256 * 1024 * 1024 - 1])
def test_a_giant_is_refused_before_it_is_buffered(
    scripted_broker: ScriptedBroker,
    open_try: OpenTry,
    protocol: str,
    version: int,
    announced: int,
) -> None:
    scripted_broker.script = scripts.oversize(announced)
    before, spent = process.rss_bytes(), time.process_time()
    attempt = open_try(spec_for(scripted_broker.port, subscriptions=ANYTHING), protocol)
    why = attempt.loss(QUICK)
    assert why.code == "packet_too_large"
    assert why.detail["limit"] == MAX_PACKET
    assert why.detail["bytes"] > MAX_PACKET
    assert process.rss_bytes() - before < 8_000_000
    assert time.process_time() - spent < 0.3
    assert scripted_broker.connects[0].version == version


def test_a_packet_of_the_largest_size_that_comes_in_drops_is_taken(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    # Without a status topic the broker has nothing to acknowledge in between.
    spec = spec_for(scripted_broker.port, subscriptions=ANYTHING, status_topic="")
    attempt = open_try(spec)
    attempt.opened()
    payload = bytes(MAX_PACKET - 4)
    data = packets.publish(5, "a", payload)
    session = scripted_broker.sessions[0]

    def drip() -> None:
        for start in range(0, len(data), 4000):
            session.send(data[start : start + 4000])

    spent = time.process_time()
    in_thread(drip)
    attempt.wait(lambda: attempt.messages)
    assert attempt.messages[0].payload == payload
    assert time.process_time() - spent < 1.0
    assert len(attempt.events) == 1


# --- our own callback fails ------------------------------------------------------------


def _raising(error: BaseException) -> Callable[[object], None]:
    def raise_it(_message: object) -> None:
        raise error

    return raise_it


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize(
    "error",
    [ValueError("ours"), gevent.Timeout(1), gevent.GreenletExit()],
    ids=lambda error: type(error).__name__,
)
def test_a_callback_that_raises_ends_the_session_and_does_not_make_it_deaf(
    scripted_broker: ScriptedBroker,
    open_try: OpenTry,
    caplog: pytest.LogCaptureFixture,
    error: BaseException,
    qos: int,
) -> None:
    attempt = open_try(spec_for(scripted_broker.port, subscriptions=ANYTHING))
    attempt.on_message = _raising(error)
    attempt.opened()
    session = scripted_broker.sessions[0]
    session.publish("a", b"1", qos=qos, packet_id=5)
    assert attempt.loss(QUICK).code == "internal_error"
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    assert session.acknowledged == []
    (told,) = (each for each in caplog.records if each.message.endswith("an error of ours"))
    assert told.exc_info is not None
    assert told.exc_info[1] is error


def test_a_neighbour_does_not_notice_a_callback_that_raises(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    first = open_try(spec_for(scripted_broker.port, subscriptions=ANYTHING))
    first.opened()
    second = open_try(spec_for(scripted_broker.port, subscriptions=ANYTHING))
    second.opened()
    first.on_message = _raising(gevent.GreenletExit())
    for session in scripted_broker.sessions:
        session.publish("a", b"1")
    first.loss(QUICK)
    second.wait(lambda: second.messages, QUICK)
    assert len(second.events) == 1
