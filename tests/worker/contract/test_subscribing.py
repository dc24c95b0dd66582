"""A session is up once every SUBSCRIBE was answered; what was refused is told."""

from __future__ import annotations

import pytest

from mqttworker.core.spec import SubscriptionSpec
from tests.support import packets, scripts
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import in_thread, no_socket_left, spec_for

QUICK = 0.5  # seconds
VERSIONS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])
#: More than fit into one SUBSCRIBE.
MANY = tuple(SubscriptionSpec(f"level/{number}/#", number % 3) for number in range(20))


@VERSIONS
def test_every_filter_is_subscribed_before_the_session_is_up(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str
) -> None:
    open_try(spec_for(scripted_broker.port, subscriptions=MANY), protocol).opened()
    asked = scripted_broker.sessions[0].filters
    assert [(name, options & 3) for name, options in asked] == [
        (item.topic_filter, item.qos) for item in MANY
    ]


@VERSIONS
def test_refused_filters_are_reported(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str
) -> None:
    scripted_broker.script = scripts.SUBACK_FAILURE
    attempt = open_try(spec_for(scripted_broker.port, subscriptions=MANY), protocol)
    opened = attempt.opened()
    assert opened.refused_filters == tuple(item.topic_filter for item in MANY)
    assert opened.raw_code == 0x80
    assert attempt.session.is_open


@VERSIONS
def test_a_broker_without_suback_is_given_up_at_the_deadline(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str
) -> None:
    scripted_broker.script = scripts.NO_SUBACK
    spec = spec_for(scripted_broker.port, subscriptions=MANY, connect_timeout_s=0.5)
    assert open_try(spec, protocol).failure().code == "suback_timeout"
    no_socket_left(scripted_broker)


@pytest.mark.parametrize(
    "suback",
    [
        pytest.param(packets.suback(5, 1, []), id="too few codes"),
        pytest.param(packets.suback(5, 1, [0, 0, 0]), id="too many codes"),
        pytest.param(bytes([0x90, 1, 0]), id="cut"),
    ],
)
def test_a_suback_that_does_not_fit_breaks_the_protocol(
    scripted_broker: ScriptedBroker, open_try: OpenTry, suback: bytes
) -> None:
    scripted_broker.script = scripts.NO_SUBACK
    attempt = open_try(spec_for(scripted_broker.port, subscriptions=(SubscriptionSpec("a", 0),)))
    in_thread(
        scripted_broker.wait,
        lambda: scripted_broker.connects and scripted_broker.sessions[0].filters,
    )
    scripted_broker.sessions[0].send(suback)
    assert attempt.failure(QUICK).code == "protocol_error"
    no_socket_left(scripted_broker)


@pytest.mark.parametrize("receive_maximum", [1, 2])
def test_a_small_receive_maximum_does_not_keep_us_from_subscribing(
    scripted_broker: ScriptedBroker, open_try: OpenTry, receive_maximum: int
) -> None:
    # It counts PUBLISH packets alone (5, section 3.2.2.3.3).
    properties = bytes([0x21, 0, receive_maximum])
    scripted_broker.script = Script(connack_properties=properties)
    attempt = open_try(spec_for(scripted_broker.port, subscriptions=MANY))
    attempt.opened(QUICK)
    assert attempt.close() < 1.0
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    said = [message.payload for message in scripted_broker.sessions[0].publishes]
    assert said == [b"online", b"offline"]
