"""The sessions of the product at brokers that bend MQTT: RabbitMQ and NATS.

RabbitMQ has no QoS 2 and acknowledges it as QoS 1; NATS 2.9 ends the connection for it.
Neither of Debian's speaks MQTT 5. Each is started once for this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import SubscriptionSpec
from tests.support import nats, rabbitmq
from tests.support.nats import Nats
from tests.support.observer import Observer
from tests.support.rabbitmq import RabbitMQ
from tests.worker.contract.outgoing import Told
from tests.worker.contract.sessions import Try, in_thread
from tests.worker.contract.venues import PASSWORD, USER, RealVenue

VERSION = "3.1.1"


@dataclass(frozen=True, slots=True)
class Place:
    """A broker, and the QoS that it gives a message or a subscription of each QoS."""

    broker: RabbitMQ | Nats
    granted: dict[int, int]
    #: The QoS that it lets us publish with.
    accepted: tuple[int, ...]


@pytest.fixture(scope="module")
def running_rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """RabbitMQ, for all tests of this file."""
    if not rabbitmq.is_installed():
        pytest.skip("RabbitMQ is not installed (Debian: rabbitmq-server)")
    with RabbitMQ(tmp_path_factory.mktemp("rabbitmq"), USER, PASSWORD) as broker:
        yield Place(broker, {0: 0, 1: 1, 2: 1}, (0, 1, 2))


@pytest.fixture(scope="module")
def running_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """NATS, for all tests of this file."""
    if nats.executable() is None:
        pytest.skip("NATS is not installed (Debian: nats-server)")
    with Nats(tmp_path_factory.mktemp("nats"), USER, PASSWORD) as broker:
        yield Place(broker, {0: 0, 1: 1, 2: 1}, (0, 1))


@pytest.fixture(params=["rabbitmq", "nats"])
def place(request: pytest.FixtureRequest) -> Place:
    """The broker that a test is played at."""
    running: Place = request.getfixturevalue(f"running_{request.param}")
    return running


@pytest.fixture
def venue(place: Place, hub_loop: HubLoop) -> Iterator[RealVenue]:
    """The broker, with nobody connected but the onlooker."""
    with RealVenue(place.broker.port, hub_loop, (USER, PASSWORD)).watched() as watched:
        yield watched


OpenHere = Callable[..., Try]


@pytest.fixture
def open_here(venue: RealVenue) -> Iterator[OpenHere]:
    """A function that opens a session and waits until `online` is acknowledged."""
    tries: list[Try] = []

    def start(receipts: Receipts | None = None, **changes: object) -> Try:
        attempt = Try(venue.transport, venue.spec(**changes), VERSION, receipts=receipts)
        tries.append(attempt)
        attempt.opened()
        attempt.wait(lambda: attempt.greetings)
        return attempt

    yield start
    for each in tries:
        each.session.abort()


def test_the_status_topic_says_online_then_offline_once(
    venue: RealVenue, open_here: OpenHere
) -> None:
    attempt = open_here()
    topic = attempt.spec.status_topic
    venue.wait_for(topic, b"online")
    assert venue.retained(topic) == b"online"
    attempt.close()
    venue.wait_for(topic, b"offline")
    venue.publish("barrier", b"1")
    venue.wait_for("barrier", b"1")
    assert venue.payloads(topic) == [b"online", b"offline"]


def test_a_session_that_is_cut_leaves_its_will(venue: RealVenue, open_here: OpenHere) -> None:
    attempt = open_here()
    attempt.session.abort()
    venue.wait_for(attempt.spec.status_topic, b"offline")


def test_messages_of_every_qos_come_in(place: Place, venue: RealVenue, open_here: OpenHere) -> None:
    subscriptions = tuple(SubscriptionSpec(f"in/{qos}", qos) for qos in (0, 1, 2))
    attempt = open_here(subscriptions=subscriptions)
    for qos in (0, 1, 2):
        for number in range(10):
            venue.publish(f"in/{qos}", b"\x00\xff%d" % number, qos=max(place.accepted))
    attempt.wait(lambda: len(attempt.messages) == 30)
    for qos in (0, 1, 2):
        came = [item for item in attempt.messages if item.topic == f"in/{qos}"]
        assert [item.payload for item in came] == [b"\x00\xff%d" % n for n in range(10)]
        assert {item.qos for item in came} == {place.granted[qos]}


def test_messages_of_every_qos_go_out_on_one_session(
    place: Place, venue: RealVenue, open_here: OpenHere
) -> None:
    highest = max(place.accepted)
    attempt = open_here(status_qos=highest)
    told = Told(attempt)
    sent = [*place.accepted, highest]
    for number, qos in enumerate(sent):
        told.publish(number, qos=qos)
    assert told.wait(len(sent)) == [""] * len(sent)
    wanted = [str(number).encode() for number in range(len(sent))]
    venue.wait_for("a", wanted[-1])
    assert venue.payloads("a") == wanted
    lowered = [item.is_qos_lowered for item in told.acknowledged]
    assert lowered == [qos != place.granted[qos] for qos in sent if qos]
    assert attempt.session.is_open
    assert attempt.greetings == 1


def test_a_session_that_is_kept_outlives_a_restart_of_the_broker(
    place: Place, open_here: OpenHere
) -> None:
    receipts = Receipts()
    wanted = {
        "client_id": "kept",
        "clean_session": False,
        "subscriptions": (SubscriptionSpec("kept/#", 1),),
    }
    first = open_here(receipts, **wanted)
    first.takes_at_once = False
    _publish(place, "first")
    first.wait(lambda: first.messages)
    in_thread(place.broker.stop)
    first.loss()
    in_thread(place.broker.start)
    _publish(place, "second")
    second = open_here(receipts, **wanted)
    assert second.session.terms.session_present
    second.session.acknowledge(first.messages)
    _publish(place, "third")
    second.wait(lambda: second.messages and second.messages[-1].payload == b"third")
    # RabbitMQ sends again under another identifier: then it is in doubt, and taken.
    new = [item.payload for item in second.messages if not item.dup]
    assert [*(item.payload for item in first.messages), *new] == [b"first", b"second", b"third"]


def _publish(place: Place, payload: str) -> None:
    with Observer(place.broker.port, ("-",), username=USER, password=PASSWORD) as other:
        in_thread(other.publish, "kept/a", payload)
