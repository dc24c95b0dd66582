"""What is not safe is not acknowledged, what cannot be taken stays with the broker."""

from __future__ import annotations

import time

import gevent
import pytest

from mqttworker.adapters.farewell import SETTLE_GRACE
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.spec import SubscriptionSpec, TLSSettings
from tests.support import packets, scripts
from tests.support.certificates import Certificates
from tests.support.packets import V5, PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.scenes import Props
from tests.worker.contract.sessions import Try, in_thread, settle, spec_for

VERSIONS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])
ANYTHING = (SubscriptionSpec("#", 2),)
PUBACK, PUBREC = PacketType.PUBACK, PacketType.PUBREC
#: Longer than a loopback and this machine need for an answer, seconds.
MOMENT = 0.2


@pytest.fixture
def holding(scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str) -> Try:
    """A session whose messages are not safe until a test says so."""
    spec = spec_for(scripted_broker.port, subscriptions=ANYTHING, keepalive_s=1)
    attempt = open_try(spec, protocol)
    attempt.takes_at_once = False
    attempt.opened()
    attempt.wait(lambda: attempt.greetings)
    return attempt


@pytest.fixture
def session(scripted_broker: ScriptedBroker, holding: Try) -> Session:
    """The broker's side of it."""
    assert holding
    return scripted_broker.sessions[0]


@VERSIONS
@pytest.mark.parametrize(("qos", "answer"), [(1, PUBACK), (2, PUBREC)])
def test_nothing_is_acknowledged_before_it_is_safe(
    scripted_broker: ScriptedBroker,
    holding: Try,
    session: Session,
    qos: int,
    answer: PacketType,
) -> None:
    for identifier in (5, 6):
        session.publish("a", b"1", qos=qos, packet_id=identifier)
    holding.wait(lambda: len(holding.messages) == 2)
    gevent.sleep(MOMENT)
    assert session.acknowledged == []
    holding.session.acknowledge(holding.messages[:1])
    in_thread(scripted_broker.wait, lambda: session.acknowledged)
    assert session.acknowledged == [(answer, 5)]


@VERSIONS
def test_a_message_that_comes_again_before_it_is_safe_is_acknowledged_once(
    scripted_broker: ScriptedBroker, holding: Try, session: Session
) -> None:
    first = packets.publish(session.version, "a", b"once", qos=1, packet_id=5)
    session.send(first + bytes([first[0] | 0x08]) + first[1:])
    session.publish("a", b"last", qos=1, packet_id=6)
    holding.wait(lambda: len(holding.messages) == 2)
    assert [message.payload for message in holding.messages] == [b"once", b"last"]
    holding.session.acknowledge(holding.messages)
    in_thread(scripted_broker.wait, lambda: len(session.acknowledged) == 2)
    assert session.acknowledged == [(PUBACK, 5), (PUBACK, 6)]


@VERSIONS
def test_a_broker_that_is_held_back_keeps_what_it_sends_and_is_not_called_dead(
    holding: Try, session: Session
) -> None:
    holding.session.pause_reading()
    session.publish("a", b"1", qos=1)
    # Longer than after which a broker that says nothing is dead: 1.5 Keep Alives and a second.
    before = session.pings
    gevent.sleep(3.0)
    assert holding.messages == []
    assert len(holding.events) == 1
    # The broker has to know that we live.
    assert session.pings >= before + 2
    holding.session.resume_reading()
    holding.wait(lambda: holding.messages)


def test_over_tls_a_broker_that_is_held_back_goes_on_at_once(
    scripted_broker: ScriptedBroker, open_try: OpenTry, certificates: Certificates
) -> None:
    props = Props(scripted_broker, open_try, certificates)
    with ScriptedBroker(tls=props.server()) as broker:
        # A long Keep Alive, so that no ping wakes the loop either.
        spec = spec_for(broker.port, subscriptions=ANYTHING, keepalive_s=60, tls=props.trusting)
        attempt = open_try(spec)
        attempt.wait(lambda: attempt.greetings)
        attempt.session.pause_reading()
        broker.sessions[0].publish("a", b"1", qos=1)
        gevent.sleep(MOMENT)
        assert attempt.messages == []
        attempt.session.resume_reading()
        attempt.wait(lambda: attempt.messages, 1.0)


def test_what_is_not_connected_yet_can_be_told_to_go_on(
    scripted_broker: ScriptedBroker, open_try: OpenTry, hub_loop: HubLoop
) -> None:
    # As for a session that replaces one that was held back.
    scripted_broker.script = scripts.SILENT
    attempt = open_try(spec_for(scripted_broker.port, tls=TLSSettings(), connect_timeout_s=1))
    while "tls" not in attempt.phases:
        gevent.sleep(0.01)
    attempt.session.pause_reading()
    attempt.session.resume_reading()
    settle(hub_loop)
    assert attempt.failure().code == "tls_timeout"


@VERSIONS
def test_a_goodbye_waits_until_what_came_is_acknowledged(
    scripted_broker: ScriptedBroker, holding: Try, session: Session
) -> None:
    session.publish("a", b"1", qos=1, packet_id=5)
    holding.wait(lambda: holding.messages)
    holding.session.close(2.0)
    gevent.sleep(MOMENT)
    assert session.closed_at is None
    # From now on nothing is taken that could not be acknowledged any more.
    session.publish("a", b"2", qos=1, packet_id=6)
    gevent.sleep(MOMENT)
    holding.session.acknowledge(holding.messages)
    in_thread(scripted_broker.wait, lambda: session.closed_at)
    assert session.acknowledged == [(PUBACK, 5)]
    assert [item.payload for item in session.publishes] == [b"online", b"offline"]
    assert session.disconnect_code == 0
    assert len(holding.messages) == 1


@VERSIONS
def test_a_goodbye_does_not_wait_for_ever(
    scripted_broker: ScriptedBroker, holding: Try, session: Session
) -> None:
    session.publish("a", b"1", qos=1, packet_id=5)
    holding.wait(lambda: holding.messages)
    started = time.monotonic()
    holding.close(grace=0.3)
    assert time.monotonic() - started < SETTLE_GRACE + MOMENT
    in_thread(scripted_broker.wait, lambda: session.closed_at)
    assert session.acknowledged == []
    assert [item.payload for item in session.publishes] == [b"online", b"offline"]


@VERSIONS
@pytest.mark.parametrize(
    "topic", [b"a\0b", b"\xff\xfe", b"a/#", b"\xed\xa0\x80"], ids=["NUL", "bytes", "#", "surrogate"]
)
def test_an_illegal_topic_is_handed_on_as_one_and_ends_the_session_once_it_is_safe(
    scripted_broker: ScriptedBroker, holding: Try, session: Session, topic: bytes
) -> None:
    def publish(name: bytes, identifier: int) -> bytes:
        properties = b"\0" if session.version == V5 else b""
        body = len(name).to_bytes(2, "big") + name + identifier.to_bytes(2, "big") + properties
        return packets.packet(PacketType.PUBLISH, body + b"x", flags=0x02)

    session.send(publish(b"good", 1) + publish(topic, 2) + publish(b"good", 3))
    holding.wait(lambda: len(holding.messages) == 3)
    assert [bool(message.flaw) for message in holding.messages] == [False, True, False]
    assert holding.messages[1].topic.encode("utf-8", "surrogateescape") == topic
    assert session.acknowledged == []
    holding.session.acknowledge(holding.messages)
    assert holding.loss().code in {"malformed_packet", "protocol_error", "topic_name_invalid"}
    in_thread(scripted_broker.wait, lambda: session.closed_at)
    assert session.acknowledged == [(PUBACK, 1), (PUBACK, 2), (PUBACK, 3)]


@VERSIONS
def test_a_session_is_held_back_only_once_its_suback_has_come(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str
) -> None:
    version = V5 if protocol == "5" else 4
    queued = packets.publish(version, "a", b"queued", qos=1, packet_id=5)
    scripted_broker.script = Script(after_connack=queued)
    spec = spec_for(scripted_broker.port, subscriptions=ANYTHING)
    attempt = open_try(spec, protocol)
    attempt.takes_at_once = False
    attempt.on_message = lambda _message: attempt.session.pause_reading()
    attempt.opened()
    session = scripted_broker.sessions[0]
    session.publish("a", b"later", qos=1, packet_id=6)
    gevent.sleep(MOMENT)
    assert [message.payload for message in attempt.messages] == [b"queued"]
    attempt.session.resume_reading()
    attempt.wait(lambda: len(attempt.messages) == 2)
