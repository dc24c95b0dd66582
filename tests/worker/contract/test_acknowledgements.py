"""What is told of a message that was sent: codes, the broker's words, what nobody knows."""

from __future__ import annotations

import pytest

from database.publications import Properties
from mqttworker.ports.transport import OutboundMessage
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import NO_PUBACK, Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.outgoing import Told, opened, sent, window
from tests.worker.contract.sessions import PATIENCE, in_thread, spec_for

#: A Reason String of two words (5, section 2.2.2.2).
REASON_STRING = b"\x0a\x1f\0\x07no room"


def test_a_pubrec_that_refuses_opens_the_window(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = Script(
        connack_properties=b"\x21\0\x01", publish_code=0x97, publish_properties=REASON_STRING
    )
    told, session = opened(scripted_broker, open_try, script)
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
    told, _ = opened(scripted_broker, open_try, script)
    for qos in (1, 2):
        told.publish("x", qos=qos)
    assert told.wait(2) == ["", ""]
    assert [(item.code, item.said) for item in told.acknowledged] == [(0x10, "no room")] * 2
    assert all(0 < item.seconds < PATIENCE for item in told.acknowledged)


def test_the_end_of_a_session_tells_what_was_written_from_what_was_not(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = window(1, answer_publish=False)
    told, session = opened(scripted_broker, open_try, script)
    told.publish("written")
    told.publish("waiting")
    sent(scripted_broker, session, 1)
    in_thread(session.close)
    assert told.wait(2) == ["not_connected"] * 2
    assert [bool(why and why.detail.get("written")) for why in told.ends] == [True, False]


def test_properties_are_on_the_wire_as_the_specification_has_them(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    given = Properties(1, 60, "text/plain", "re/ply", b"\0\xff", (("k", "ü"), ("k", "")))
    told, session = opened(scripted_broker, open_try, NO_PUBACK)
    message = OutboundMessage("a", b"x", 1, properties=given)
    told.attempt.session.publish(message, told.ends.append)
    sent(scripted_broker, session, 1)
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


@pytest.mark.parametrize("clean", [True, False])
def test_a_session_that_may_be_resumed_begins_with_another_identifier(
    scripted_broker: ScriptedBroker, open_try: OpenTry, clean: bool
) -> None:
    found = set()
    for _ in range(3):
        attempt = open_try(spec_for(scripted_broker.port, status_topic="", clean_session=clean))
        attempt.opened()
        told = Told(attempt)
        told.publish("x")
        told.wait(1)
        found.add(scripted_broker.sessions[-1].publishes[0].packet_id)
    assert (len(found) == 1) is clean


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
