"""What waits for a socket is bounded both ways, and large packets cost in proportion."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import gevent
import pytest

from mqttworker.adapters import process
from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.packet_stream import WRITE_LIMIT
from mqttworker.core.cause import Cause
from mqttworker.core.spec import SubscriptionSpec
from mqttworker.ports.transport import OutboundMessage
from tests.support import packets
from tests.support.packets import PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.deaf_broker import DeafBroker
from tests.worker.contract.sessions import PATIENCE, Try, in_thread, spec_for

ANYTHING = (SubscriptionSpec("#", 0),)
MIB = 1_048_576
#: Of everything that is published here, bytes.
PAYLOAD = bytes(100_000)


@pytest.fixture
def deaf() -> Iterator[DeafBroker]:
    """A broker that reads nothing after the CONNECT."""
    with DeafBroker() as broker:
        yield broker


def _publish(attempt: Try, count: int) -> list[Cause | None]:
    """Publish and return what was told at once; QoS 0 is told when it is written."""
    told: list[Cause | None] = []
    message = OutboundMessage("a", PAYLOAD)
    for _ in range(count):
        attempt.session.publish(message, told.append)
    deadline = time.monotonic() + PATIENCE
    while len(told) < count and time.monotonic() < deadline:
        gevent.sleep(0.005)
    return told


def test_a_publish_to_a_broker_that_does_not_read_is_refused_to_its_caller(
    deaf: DeafBroker, open_try: OpenTry
) -> None:
    attempt = open_try(spec_for(deaf.port, status_topic="", keepalive_s=60))
    attempt.opened()
    before = process.rss_bytes()
    told = _publish(attempt, 500)
    refused = [why.code for why in told if why]
    assert set(refused) == {"write_blocked"}
    taken = (len(told) - len(refused)) * len(PAYLOAD)
    # The kernel's own buffers take the rest, some MiB on loopback.
    assert WRITE_LIMIT <= taken < 16 * MIB
    assert process.rss_bytes() - before < 16 * MIB
    assert attempt.session.is_open


@pytest.mark.timing
def test_a_broker_that_talks_and_does_not_read_is_given_up_in_time(
    deaf: DeafBroker, open_try: OpenTry
) -> None:
    attempt = open_try(spec_for(deaf.port, status_topic="", keepalive_s=1))
    attempt.opened()
    _publish(attempt, 200)
    blocked_at = time.monotonic()
    while len(attempt.events) == 1 and time.monotonic() - blocked_at < PATIENCE:
        in_thread(_say, deaf, packets.packet(PacketType.PINGRESP))
        gevent.sleep(0.1)
    assert attempt.loss().code == "write_blocked"
    assert time.monotonic() - blocked_at < 2.5 + 0.5


def _say(broker: DeafBroker, data: bytes) -> None:
    try:
        broker.say(data)
    except OSError:
        return  # the client has given up, as it should


def test_a_broker_that_reads_again_is_written_to_again(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    attempt = open_try(spec_for(scripted_broker.port, status_topic=""))
    attempt.opened()
    for _ in range(2):
        told = _publish(attempt, 200)
        taken = sum(why is None for why in told)
        assert taken > WRITE_LIMIT // len(PAYLOAD)
        session = scripted_broker.sessions[0]
        in_thread(scripted_broker.wait, lambda: len(session.publishes) >= taken)  # noqa: B023
        session.publishes.clear()


@pytest.mark.parametrize("maximum", [1, 3])
def test_no_more_is_under_way_than_the_receive_maximum_and_the_order_stays(
    scripted_broker: ScriptedBroker, open_try: OpenTry, maximum: int
) -> None:
    properties = bytes([0x21, 0, maximum])
    scripted_broker.script = Script(connack_properties=properties, answer_publish=False)
    attempt = open_try(spec_for(scripted_broker.port, status_topic="", keepalive_s=60))
    attempt.opened()
    told: list[Cause | None] = []
    for number in range(10):
        attempt.session.publish(OutboundMessage("a", b"%d" % number, qos=1), told.append)
    session = scripted_broker.sessions[0]
    for number in range(10):
        under_way = min(number + maximum, 10)
        in_thread(scripted_broker.wait, lambda: len(session.publishes) >= under_way)  # noqa: B023
        assert len(session.publishes) == under_way
        session.send(packets.acknowledgement(PacketType.PUBACK, _identifier(session, number)))
    assert [int(message.payload) for message in session.publishes] == list(range(10))
    _until(lambda: len(told) == 10)
    assert told == [None] * 10


def _identifier(session: Session, number: int) -> int:
    identifier = session.publishes[number].packet_id
    assert identifier is not None
    return identifier


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.005)


def test_what_waits_for_a_receive_maximum_is_bounded(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = Script(connack_properties=b"\x21\0\x01", answer_publish=False)
    attempt = open_try(spec_for(scripted_broker.port, status_topic="", keepalive_s=60))
    attempt.opened()
    told: list[Cause | None] = []
    for _ in range(30):
        attempt.session.publish(OutboundMessage("a", PAYLOAD, qos=1), told.append)
    _until(lambda: len(told) == 30 - 1 - WRITE_LIMIT // len(PAYLOAD) - 1)
    assert {why.code for why in told if why} == {"outbound_queue_full"}
    told.clear()
    attempt.session.abort()
    _until(lambda: len(told) == 2 + WRITE_LIMIT // len(PAYLOAD))
    assert {why.code for why in told if why} == {"not_connected"}


@pytest.mark.parametrize(
    ("properties", "code"),
    [
        (b"\x24\0", "qos_not_supported"),
        (b"\x25\0", "retain_not_supported"),
        (b"\x27\0\0\0\x20", "packet_too_large"),
    ],
)
def test_what_the_broker_does_not_take_is_refused_to_the_caller(
    scripted_broker: ScriptedBroker, open_try: OpenTry, properties: bytes, code: str
) -> None:
    scripted_broker.script = Script(connack_properties=properties)
    attempt = open_try(spec_for(scripted_broker.port, status_topic=""))
    attempt.opened()
    told: list[Cause | None] = []
    message = OutboundMessage("a", bytes(50), qos=1, retain=True)
    attempt.session.publish(message, told.append)
    _until(lambda: bool(told))
    assert [why.code for why in told if why] == [code]
    assert attempt.session.is_open


@pytest.mark.parametrize("size", [8 * MIB, 32 * MIB])
def test_a_large_packet_within_a_raised_limit_costs_in_proportion(
    scripted_broker: ScriptedBroker, hub_loop: HubLoop, size: int
) -> None:
    transport = BrokerTransport(hub_loop, max_packet_bytes=64 * MIB)
    spec = spec_for(scripted_broker.port, subscriptions=ANYTHING, status_topic="", keepalive_s=60)
    attempt = Try(transport, spec, "5")
    attempt.opened()
    data = packets.publish(5, "a", bytes(size))
    spent = time.process_time()
    in_thread(scripted_broker.sessions[0].send, data)
    attempt.wait(lambda: attempt.messages)
    # Both ends are counted; buffering in quadratic time would take several seconds.
    assert time.process_time() - spent < 0.02 * size / MIB
    assert len(attempt.messages[0].payload) == size
    attempt.close()
