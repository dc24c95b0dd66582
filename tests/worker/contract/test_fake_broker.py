"""The fake misbehaves on demand as real brokers do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from mqttworker.adapters.fake_broker import FakeBroker
from mqttworker.adapters.fake_transport import FakeTransport
from mqttworker.core.cause import cause
from mqttworker.core.events import Closed, Opened
from mqttworker.core.spec import SubscriptionSpec
from mqttworker.core.topics import matches
from tests.worker.contract.sessions import Try, spec_for

Opener = Callable[..., Try]


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
def open_here(broker: FakeBroker) -> Iterator[Opener]:
    """A function that opens a session with the fake; its arguments change the spec."""
    tries: list[Try] = []

    def start(protocol: str = "5", **changes: object) -> Try:
        spec = spec_for(**{"port": 1883, "host": "Fake.Example", **changes})  # type: ignore[arg-type]
        tries.append(Try(FakeTransport(broker), spec, protocol))
        return tries[-1]

    yield start
    for each in tries:
        each.session.abort()


def test_scripted_refusals_are_used_up_one_a_try(broker: FakeBroker, open_here: Opener) -> None:
    broker.refusals.extend([cause("server_busy"), cause("banned")])
    assert open_here().failure().code == "server_busy"
    assert open_here().failure().code == "banned"
    open_here().opened()
    assert len(broker.tries) == 3


def test_refused_filters_are_reported_and_silent(broker: FakeBroker, open_here: Opener) -> None:
    broker.refused_filters.add("no/#")
    attempt = open_here(subscriptions=(SubscriptionSpec("no/#", 1), SubscriptionSpec("yes", 1)))
    assert attempt.opened() == Opened("5", ("no/#",), 0x87)
    broker.publish("no/1", b"1")
    broker.publish("yes", b"2")
    attempt.wait(lambda: attempt.messages)
    assert [message.payload for message in attempt.messages] == [b"2"]


def test_a_version_that_it_does_not_speak_is_refused(open_here: Opener, broker: FakeBroker) -> None:
    broker.protocols = frozenset({"3.1.1"})
    assert open_here("5").failure().code == "unsupported_protocol_version"
    open_here("3.1.1").opened()


@pytest.mark.parametrize(
    ("protocol", "reason"), [("5", "session_taken_over"), ("3.1.1", "peer_closed")]
)
def test_a_broker_may_name_a_rival_in_mqtt_5(
    broker: FakeBroker, open_here: Opener, protocol: str, reason: str
) -> None:
    broker.names_rivals = True
    first = open_here(protocol)
    first.opened()
    open_here(client_id=first.spec.client_id).opened()
    assert first.loss().code == reason


def test_a_broker_that_stops_loses_everybody_and_refuses(
    broker: FakeBroker, open_here: Opener
) -> None:
    attempt = open_here()
    attempt.opened()
    broker.stop()
    assert attempt.loss().code == "peer_closed"
    assert broker.retained[attempt.spec.status_topic].payload == b"offline"
    assert open_here().failure().code == "tcp_refused"
    broker.start()
    open_here().opened()


def test_a_frozen_broker_is_noticed_by_deadlines(broker: FakeBroker, open_here: Opener) -> None:
    up = open_here(keepalive_s=0)
    closing = open_here()
    up.opened()
    closing.opened()
    started = time.monotonic()
    broker.freeze()
    trying = open_here(connect_timeout_s=0.1)
    assert closing.close(grace=0.2) >= 0.2
    assert trying.failure().code == "connack_timeout"
    assert up.loss().code == "keepalive_timeout"
    assert time.monotonic() - started >= 1.0
    assert isinstance(closing.events[-1], Closed)
    broker.thaw()
    open_here().opened()


def test_a_kicked_client_is_closed_without_a_word(broker: FakeBroker, open_here: Opener) -> None:
    attempt = open_here()
    attempt.opened()
    broker.kick(attempt.spec.client_id)
    assert attempt.loss().code == "peer_closed"


def test_a_callback_that_raises_ends_the_session(broker: FakeBroker, open_here: Opener) -> None:
    def fails(_message: object) -> None:
        raise ValueError

    attempt = open_here(subscriptions=(SubscriptionSpec("#", 1),))
    attempt.on_message = fails
    attempt.opened()
    broker.publish("a", b"1")
    assert attempt.loss().code == "internal_error"


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/b", "a/b/c", False),
        ("a/+", "a/b", True),
        ("a/+", "a", False),
        ("a/+/c", "a//c", True),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("$share/group/a/#", "a/b", True),
        ("$share/group/a", "b", False),
    ],
)
def test_filters_match_as_the_specification_says(
    topic_filter: str, topic: str, expected: bool
) -> None:
    assert matches(topic_filter, topic) is expected
