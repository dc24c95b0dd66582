"""A session that the broker keeps: nothing is lost in between, nothing is taken twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec, SubscriptionSpec
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.worker.contract.sessions import Try, in_thread, spec_for

VERSIONS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])

OpenKept = Callable[..., Try]


@pytest.fixture
def spec(mosquitto: Mosquitto) -> ConnectionSpec:
    """What asks the broker to keep its session."""
    return _asking(mosquitto.port, "kept/#")


@pytest.fixture
def open_kept(transport: BrokerTransport, protocol: str) -> Iterator[OpenKept]:
    """A function that opens one session after the other with the same receipts."""
    receipts, tries = Receipts(), list[Try]()

    def start(wanted: ConnectionSpec) -> Try:
        attempt = Try(transport, wanted, protocol, receipts=receipts)
        tries.append(attempt)
        attempt.opened()
        attempt.wait(lambda: attempt.greetings)
        return attempt

    yield start
    for attempt in tries:
        attempt.session.abort()


@pytest.fixture
def observer(mosquitto: Mosquitto) -> Iterator[Observer]:
    """Another client."""
    with Observer(mosquitto.port, ("elsewhere",)) as other:
        yield other


def _asking(port: int, *topic_filters: str) -> ConnectionSpec:
    return spec_for(
        port,
        client_id="kept",
        status_topic="kept-status",
        clean_session=False,
        session_expiry_s=600,
        subscriptions=tuple(SubscriptionSpec(item, 1) for item in topic_filters),
    )


def _payloads(attempt: Try) -> list[bytes]:
    return [message.payload for message in attempt.messages]


@VERSIONS
def test_messages_that_came_while_we_were_away_come_afterwards(
    spec: ConnectionSpec, open_kept: OpenKept, observer: Observer
) -> None:
    first = open_kept(spec)
    assert first.session.terms.session_present is False
    first.close()
    for number in range(5):
        in_thread(observer.publish, "kept/a", str(number).encode(), qos=1)
    second = open_kept(spec)
    second.wait(lambda: len(second.messages) == 5)
    assert second.session.terms.session_present is True
    assert _payloads(second) == [b"0", b"1", b"2", b"3", b"4"]


@VERSIONS
def test_what_was_not_acknowledged_comes_again_and_is_known(
    spec: ConnectionSpec, open_kept: OpenKept, observer: Observer
) -> None:
    first = open_kept(spec)
    first.takes_at_once = False
    in_thread(observer.publish, "kept/a", b"once", qos=1)
    first.wait(lambda: first.messages)
    first.session.abort()
    second = open_kept(spec)
    in_thread(observer.publish, "kept/a", b"new", qos=1)
    second.wait(lambda: second.messages)
    assert _payloads(second) == [b"new"]
    # It is safe only now: the session that is up acknowledges it.
    second.session.acknowledge(first.messages)
    second.close()
    third = open_kept(spec)
    in_thread(observer.publish, "kept/a", b"newest", qos=1)
    third.wait(lambda: third.messages)
    assert _payloads(third) == [b"newest"]


@VERSIONS
def test_a_topic_filter_that_the_record_lost_is_taken_out_of_the_session(
    mosquitto: Mosquitto, spec: ConnectionSpec, open_kept: OpenKept, observer: Observer
) -> None:
    open_kept(spec).close()
    second = open_kept(_asking(mosquitto.port, "other/#"))
    in_thread(observer.publish, "kept/a", b"unwanted", qos=1)
    in_thread(observer.publish, "other/a", b"wanted", qos=1)
    second.wait(lambda: second.messages)
    assert _payloads(second) == [b"wanted"]


@pytest.mark.parametrize("protocol", ["5"])
def test_retained_messages_come_with_a_new_subscription_only(
    spec: ConnectionSpec, open_kept: OpenKept, observer: Observer
) -> None:
    in_thread(observer.publish, "kept/a", b"retained", qos=1, retain=True)
    first = open_kept(spec)
    first.wait(lambda: first.messages)
    first.close()
    second = open_kept(spec)
    in_thread(observer.publish, "kept/b", b"live", qos=1)
    second.wait(lambda: second.messages)
    assert _payloads(second) == [b"live"]
