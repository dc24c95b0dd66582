"""Messages on their way out: our own first, within the broker's window, each end told."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent

from database.publications import Properties
from mqttworker.core.cause import Cause
from mqttworker.ports.transport import Acknowledgement, OutboundMessage
from tests.support import packets
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.packets import PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.support.scripts import NO_PUBACK, Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.deaf_broker import DeafBroker
from tests.worker.contract.sessions import PATIENCE, Try, in_thread, spec_for

#: Seconds that a message of others may wait here, and that nothing may happen in.
LONG, SHORT = 30.0, 0.15
#: A Reason String of two words (5, section 2.2.2.2).
REASON_STRING = b"\x0a\x1f\0\x07no room"


class Told:
    """What a session told of the messages that were published on it."""

    def __init__(self, attempt: Try) -> None:
        self.attempt = attempt
        self.ends: list[Cause | None] = []
        self.acknowledged: list[Acknowledgement] = []

    def publish(
        self, payload: object = "", *, qos: int = 1, patience_s: float | None = LONG
    ) -> None:
        message = OutboundMessage("a", str(payload).encode(), qos, patience_s=patience_s)
        self.attempt.session.publish(message, self.ends.append, self.acknowledged.append)

    def wait(self, count: int) -> list[str]:
        """Wait for so many ends; return their codes, empty for a success."""
        _until(lambda: len(self.ends) >= count)
        return [why.code if why else "" for why in self.ends]


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.005)


def _opened(broker: ScriptedBroker, open_try: OpenTry, script: Script) -> tuple[Told, Session]:
    broker.script = script
    attempt = open_try(spec_for(broker.port, status_topic="", keepalive_s=60))
    attempt.opened()
    return Told(attempt), broker.sessions[-1]


def _window(maximum: int, **script: Any) -> Script:
    return Script(connack_properties=bytes([0x21, maximum >> 8, maximum & 0xFF]), **script)


def _sent(broker: ScriptedBroker, session: Session, count: int) -> list[bytes]:
    """Wait until `count` messages have come, and no more; return their payloads."""
    in_thread(broker.wait, lambda: len(session.publishes) >= count)
    gevent.sleep(SHORT)
    assert len(session.publishes) == count
    return [message.payload for message in session.publishes]


def _acknowledge(session: Session, index: int, kind: PacketType = PacketType.PUBACK) -> None:
    identifier = session.publishes[index].packet_id
    assert identifier is not None
    session.send(packets.acknowledgement(kind, identifier))


def test_our_own_messages_overtake_a_thousand_others(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = _window(1, answer_publish=False)
    told, session = _opened(scripted_broker, open_try, script)
    for number in range(1_000):
        told.publish(number)
    told.publish("own", patience_s=None)
    assert _sent(scripted_broker, session, 1) == [b"0"]
    for number in range(3):
        _acknowledge(session, number)
        in_thread(scripted_broker.wait, lambda: len(session.publishes) > number + 1)  # noqa: B023
    assert _sent(scripted_broker, session, 4) == [b"0", b"own", b"1", b"2"]


def test_others_leave_one_place_of_the_window_to_us(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = _window(2, answer_publish=False)
    told, session = _opened(scripted_broker, open_try, script)
    for number in range(10):
        told.publish(number)
    assert _sent(scripted_broker, session, 1) == [b"0"]
    told.publish("own", patience_s=None)
    assert _sent(scripted_broker, session, 2) == [b"0", b"own"]


def test_a_thousand_at_once_all_come_and_in_order(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    for maximum in (1, 2):
        told, session = _opened(scripted_broker, open_try, _window(maximum))
        for number in range(1_000):
            told.publish(number, qos=1 + number % 2)
        assert set(told.wait(1_000)) == {""}
        assert [int(item.payload) for item in session.publishes] == list(range(1_000))


def test_what_waits_is_bounded_in_messages_and_the_caller_is_told(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = _window(1, answer_publish=False)
    told, session = _opened(scripted_broker, open_try, script)
    for number in range(1_100):
        told.publish(number)
    assert told.wait(99) == ["outbound_queue_full"] * 99
    assert str(told.ends[0]).startswith("Too much waits for this broker already: 1000 messages")
    # Our own have a queue of their own.
    told.publish("own", patience_s=None)
    _acknowledge(session, 0)
    assert _sent(scripted_broker, session, 2)[-1] == b"own"


def test_what_has_waited_too_long_is_not_sent_any_more(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = _window(1, answer_publish=False)
    told, session = _opened(scripted_broker, open_try, script)
    told.publish("first")
    told.publish("late", patience_s=SHORT)
    told.publish("patient")
    assert told.wait(1) == ["outbound_queue_full"]
    assert "was not sent" in str(told.ends[0])
    _acknowledge(session, 0)
    assert _sent(scripted_broker, session, 2) == [b"first", b"patient"]


def test_a_qos_2_message_is_under_way_until_its_pubcomp(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = _window(1, answer_pubrel=False)
    told, session = _opened(scripted_broker, open_try, script)
    told.publish("first", qos=2)
    told.publish("second", qos=2)
    assert _sent(scripted_broker, session, 1) == [b"first"]
    _acknowledge(session, 0, PacketType.PUBCOMP)
    assert _sent(scripted_broker, session, 2) == [b"first", b"second"]
    assert told.ends == [None]


def test_a_pubrec_that_refuses_opens_the_window(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = Script(
        connack_properties=b"\x21\0\x01", publish_code=0x97, publish_properties=REASON_STRING
    )
    told, session = _opened(scripted_broker, open_try, script)
    for _ in range(2):
        told.publish("no", qos=2)
    assert told.wait(2) == ["quota_exceeded"] * 2
    assert {(item.code, item.said) for item in told.acknowledged} == {(0x97, "no room")}
    assert len(session.publishes) == 2


def test_a_success_is_told_with_its_code_and_the_brokers_words(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    # No matching subscribers: with QoS 2 the PUBREC says so, and the PUBCOMP nothing.
    script = Script(publish_code=0x10, publish_properties=REASON_STRING)
    told, _ = _opened(scripted_broker, open_try, script)
    for qos in (1, 2):
        told.publish("x", qos=qos)
    assert told.wait(2) == ["", ""]
    assert [(item.code, item.said) for item in told.acknowledged] == [(0x10, "no room")] * 2
    assert all(0 < item.seconds < PATIENCE for item in told.acknowledged)


def test_the_end_of_a_session_tells_what_was_written_from_what_was_not(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = _window(1, answer_publish=False)
    told, session = _opened(scripted_broker, open_try, script)
    told.publish("written")
    told.publish("waiting")
    _sent(scripted_broker, session, 1)
    in_thread(session.close)
    assert told.wait(2) == ["not_connected"] * 2
    assert [bool(why and why.detail.get("written")) for why in told.ends] == [True, False]


def test_properties_are_on_the_wire_as_the_specification_has_them(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    given = Properties(1, 60, "text/plain", "re/ply", b"\0\xff", (("k", "ü"), ("k", "")))
    told, session = _opened(scripted_broker, open_try, NO_PUBACK)
    message = OutboundMessage("a", b"x", 1, properties=given)
    told.attempt.session.publish(message, told.ends.append)
    _sent(scripted_broker, session, 1)
    wanted = (
        b"\x01\x01\x02\0\0\0\x3c\x03\0\x0atext/plain\x08\0\x06re/ply\x09\0\x02\0\xff"
        b"\x26\0\x01k\0\x02\xc3\xbc\x26\0\x01k\0\0"
    )
    assert session.publishes[0].properties == wanted
    assert given.size == len(wanted)


def test_properties_are_refused_to_a_session_of_3_1_1(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    attempt = open_try(spec_for(scripted_broker.port, status_topic=""), "3.1.1")
    attempt.opened()
    told = Told(attempt)
    message = OutboundMessage("a", b"x", properties=Properties(content_type="text/plain"))
    attempt.session.publish(message, told.ends.append)
    assert told.wait(1) == ["properties_not_supported"]
    told.publish("x")
    assert told.wait(2)[1] == ""
    assert told.acknowledged[0].code is None


def test_others_are_refused_long_before_our_own_when_the_broker_reads_nothing(
    open_try: OpenTry,
) -> None:
    with DeafBroker() as broker:
        attempt = open_try(spec_for(broker.port, status_topic="", keepalive_s=60))
        attempt.opened()
        told = Told(attempt)
        while not any(told.ends):
            told.publish("x" * 50_000, qos=0)
            gevent.sleep(0.001)
        assert told.wait(1)[-1] == "outbound_queue_full"
        told.publish("own", qos=0, patience_s=None)
        _until(lambda: told.ends[-1] is None)
        attempt.session.abort()


def test_mosquitto_takes_a_thousand_at_once_in_order(
    mosquitto: Mosquitto, open_try: OpenTry
) -> None:
    # Its Receive Maximum is 20.
    with Observer(mosquitto.port, ("a",)) as observer:
        attempt = open_try(spec_for(mosquitto.port))
        attempt.opened()
        told = Told(attempt)
        for number in range(1_000):
            told.publish(number, qos=2)
        assert set(told.wait(1_000)) == {""}
        in_thread(observer.wait, lambda: len(observer.of("a")) == 1_000)
        assert [int(item.payload) for item in observer.of("a")] == list(range(1_000))
