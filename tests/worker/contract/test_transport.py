"""What every transport promises, played at the fake, at amqtt and at mosquitto."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gevent.event import AsyncResult

from mqttworker.adapters.fake_broker import FakeBroker
from mqttworker.adapters.fake_transport import FakeTransport
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.events import Closed, Failed, Opened
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import SubscriptionSpec
from tests.support import mosquitto
from tests.support.mosquitto import Mosquitto
from tests.support.process import free_port
from tests.worker.contract import venues
from tests.worker.contract.sessions import PATIENCE, Try, settle
from tests.worker.contract.venues import PASSWORD, USER, FakeVenue, RealVenue, Venue

pytest.importorskip("amqtt")

Running = tuple[int, tuple[str, str]]


@pytest.fixture(scope="module")
def amqtt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The demo broker, for all tests of this file."""
    with venues.running_amqtt(tmp_path_factory.mktemp("amqtt")) as running:
        yield running


@pytest.fixture(scope="module")
def mosquitto_with_login(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A private mosquitto, for all tests of this file."""
    if mosquitto.executable() is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    with Mosquitto(tmp_path_factory.mktemp("mosquitto"), users={USER: PASSWORD}) as broker:
        yield broker.port, (USER, PASSWORD)


@pytest.fixture(
    params=[
        ("fake", "5"),
        ("fake", "3.1.1"),
        # amqtt does not speak MQTT 5.
        ("amqtt", "3.1.1"),
        pytest.param(("mosquitto_with_login", "5"), marks=pytest.mark.broker),
        pytest.param(("mosquitto_with_login", "3.1.1"), marks=pytest.mark.broker),
    ],
    ids="-".join,
)
def place(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Which broker, and which MQTT version is spoken with it."""
    chosen: tuple[str, str] = request.param
    return chosen


@pytest.fixture
def protocol(place: tuple[str, str]) -> str:
    """The MQTT version."""
    return place[1]


@pytest.fixture
def venue(
    place: tuple[str, str], hub_loop: HubLoop, request: pytest.FixtureRequest
) -> Iterator[Venue]:
    """The broker, with nobody connected but the onlooker."""
    if place[0] == "fake":
        broker = FakeBroker(users={USER: PASSWORD})
        yield FakeVenue(broker, FakeTransport(broker))
        return
    port, login = request.getfixturevalue(place[0])
    with RealVenue(port, hub_loop, login).watched() as watched:
        yield watched


@pytest.fixture
def open_here(venue: Venue, protocol: str) -> Iterator[object]:
    """A function that opens a session; its arguments change the spec."""
    tries: list[Try] = []

    def start(**changes: object) -> Try:
        tries.append(Try(venue.transport, venue.spec(**changes), protocol))
        return tries[-1]

    yield start
    for each in tries:
        each.session.abort()


class Opener:
    """The type of `open_here`."""

    def __call__(self, **changes: object) -> Try:
        raise NotImplementedError


def test_a_session_opens_once(open_here: Opener, protocol: str) -> None:
    attempt = open_here()
    assert attempt.opened() == Opened(protocol)
    assert attempt.session.is_open
    assert len(attempt.events) == 1


def test_nothing_is_reported_before_open_has_returned(open_here: Opener) -> None:
    attempt = open_here()
    # `Try` sets its session last; a report inside `open` would have been remembered.
    assert attempt.events == []
    attempt.opened()


def test_a_wrong_port_refuses(open_here: Opener) -> None:
    attempt = open_here(port=free_port())
    assert attempt.failure().code == "tcp_refused"
    assert not attempt.session.is_open


@pytest.mark.parametrize(
    "login",
    [
        {"password": "wrong"},
        {"password": None},
        {"username": "nobody"},
        {"username": None, "password": None},
    ],
    ids=["wrong password", "no password", "wrong name", "no login"],
)
def test_a_bad_login_is_refused(open_here: Opener, login: dict[str, object]) -> None:
    attempt = open_here(**login)
    assert attempt.failure().code in {"bad_user_name_or_password", "not_authorized"}
    assert [type(event) for event in attempt.events] == [Failed]


def test_the_status_topic_says_online_while_we_are(venue: Venue, open_here: Opener) -> None:
    attempt = open_here()
    attempt.opened()
    venue.wait_for(attempt.spec.status_topic, b"online")
    assert venue.retained(attempt.spec.status_topic) == b"online"


def test_a_goodbye_says_offline_once(venue: Venue, open_here: Opener) -> None:
    attempt = open_here()
    attempt.opened()
    topic = attempt.spec.status_topic
    # Awaited one by one: amqtt forwards what comes quickly in any order.
    venue.wait_for(topic, b"online")
    attempt.close()
    venue.wait_for(topic, b"offline")
    venue.publish("barrier", b"1")
    venue.wait_for("barrier", b"1")
    # A will on top of it would be a second one.
    assert venue.payloads(topic) == [b"online", b"offline"]
    assert venue.retained(topic) == b"offline"
    assert [type(event) for event in attempt.events] == [Opened, Closed]
    assert not attempt.session.is_open


def test_an_abort_leaves_the_will_and_says_nothing(
    venue: Venue, open_here: Opener, hub_loop: HubLoop
) -> None:
    attempt = open_here()
    attempt.opened()
    venue.wait_for(attempt.spec.status_topic, b"online")
    attempt.session.abort()
    venue.wait_for(attempt.spec.status_topic, b"offline")
    assert venue.retained(attempt.spec.status_topic) == b"offline"
    settle(hub_loop)
    assert [type(event) for event in attempt.events] == [Opened]
    assert not attempt.session.is_open


def _under(roots: set[str], attempt: Try) -> list[InboundMessage]:
    """Return the messages below `roots`: amqtt hands retained messages to everybody."""
    return [m for m in attempt.messages if m.topic and m.topic.split("/")[0] in roots]


def test_a_session_that_is_taken_over_is_lost_once(
    place: tuple[str, str], open_here: Opener, hub_loop: HubLoop
) -> None:
    if place[0] == "amqtt":
        pytest.skip("amqtt lets two clients use one client id")
    first = open_here()
    first.opened()
    second = open_here(client_id=first.spec.client_id)
    second.opened()
    assert first.loss().code in {"peer_closed", "connection_reset", "session_taken_over"}
    settle(hub_loop)
    assert len(first.events) == 2
    assert not first.session.is_open
    assert second.session.is_open


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_messages_arrive_byte_for_byte(venue: Venue, open_here: Opener, qos: int) -> None:
    topic = f"bytes/{qos}/ü"
    attempt = open_here(subscriptions=(SubscriptionSpec(topic, qos),))
    attempt.opened()
    # An empty payload is left out: amqtt does not forward it.
    payloads = [b"\x00\xff\xfe", bytes(range(256)) * 400, b"x"]
    for payload in payloads:
        venue.publish(topic, payload, qos=2)
    attempt.wait(lambda: len(_under({"bytes", "many"}, attempt)) == len(payloads))
    assert sorted(message.payload for message in _under({"bytes", "many"}, attempt)) == sorted(
        payloads
    )
    assert {(message.topic, message.qos) for message in _under({"bytes", "many"}, attempt)} == {
        (topic, qos)
    }


def test_every_message_is_acknowledged(venue: Venue, open_here: Opener, protocol: str) -> None:
    # More than mosquitto has in flight at once: without acknowledgements it would stop.
    topic = f"many/{protocol}"
    attempt = open_here(subscriptions=(SubscriptionSpec(topic, 1),))
    attempt.opened()
    for number in range(30):
        venue.publish(topic, str(number).encode())
    attempt.wait(lambda: len(_under({"bytes", "many"}, attempt)) == 30)
    assert sorted(int(message.payload) for message in _under({"bytes", "many"}, attempt)) == list(
        range(30)
    )


def test_a_retained_message_comes_with_the_subscription(
    place: tuple[str, str], venue: Venue, open_here: Opener, protocol: str
) -> None:
    topic = f"kept/{protocol}"
    venue.publish(topic, b"for later", retain=True)
    attempt = open_here(subscriptions=(SubscriptionSpec("kept/+", 1),))
    attempt.opened()
    attempt.wait(lambda: any(message.topic == topic for message in attempt.messages))
    message = next(message for message in attempt.messages if message.topic == topic)
    assert message.payload == b"for later"
    # amqtt forgets the flag now and then.
    assert message.retain or place[0] == "amqtt"


def test_only_what_was_subscribed_arrives(venue: Venue, open_here: Opener) -> None:
    wanted = (SubscriptionSpec("only/+/this", 0), SubscriptionSpec("all/#", 0))
    attempt = open_here(subscriptions=wanted)
    attempt.opened()
    for topic in ("only/a", "only/a/this", "only/a/b/this", "all", "all/a/b", "other", "all/end"):
        venue.publish(topic, b"1")
    attempt.wait(lambda: len(_under({"only", "all", "other"}, attempt)) >= 4)
    topics = {message.topic for message in _under({"only", "all", "other"}, attempt)}
    assert topics == {"only/a/this", "all", "all/a/b", "all/end"}


def test_a_session_can_follow_another(venue: Venue, open_here: Opener) -> None:
    first = open_here()
    topic = first.spec.status_topic
    first.opened()
    venue.wait_for(topic, b"online")
    first.close()
    venue.wait_for(topic, b"offline")
    again = open_here(client_id=first.spec.client_id, status_topic=topic)
    again.opened()
    venue.wait_for_count(topic, 3)
    assert venue.payloads(topic) == [b"online", b"offline", b"online"]


def test_a_try_that_is_closed_reports_closed_only(open_here: Opener) -> None:
    attempt = open_here()
    attempt.session.close(1.0)
    attempt.first(Closed)
    assert [type(event) for event in attempt.events] == [Closed]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_knock_says_whether_the_port_is_open(venue: Venue, is_there: bool) -> None:
    changes = {} if is_there else {"port": free_port()}
    answer: AsyncResult[bool] = AsyncResult()
    venue.transport.knock(venue.spec(**changes), answer.set)
    assert answer.get(timeout=PATIENCE) is is_there
