"""What a session publishes, watches and tells, played at the fake, amqtt and mosquitto."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable

import pytest
from cryptography import x509
from gevent.event import AsyncResult

from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.cause import Cause
from mqttworker.core.spec import TLSSettings
from mqttworker.ports.transport import (
    Acknowledgement,
    Certificate,
    Heard,
    OutboundMessage,
    Session,
    ignore,
)
from tests.support.certificates import Certificates
from tests.support.mosquitto import Mosquitto
from tests.support.packets import PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import NO_PUBACK, Script
from tests.worker.contract.sessions import PATIENCE, Try, in_thread, spec_for
from tests.worker.contract.test_transport import (  # noqa: F401 - fixtures
    amqtt,
    mosquitto_with_login,
    place,
    protocol,
    venue,
)
from tests.worker.contract.venues import Venue


def publish(
    session: Session, message: OutboundMessage, heard: Heard = ignore
) -> AsyncResult[Cause | None]:
    """Publish; the result is what became of it."""
    done: AsyncResult[Cause | None] = AsyncResult()
    session.publish(message, done.set, heard)
    return done


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_message_arrives_and_is_acknowledged(venue: Venue, protocol: str, qos: int) -> None:  # noqa: F811
    attempt = Try(venue.transport, venue.spec(), protocol)
    attempt.opened()
    payload = bytes(range(256))
    heard: list[Acknowledgement] = []
    done = publish(attempt.session, OutboundMessage("a/b", payload, qos), heard.append)
    assert done.get(True, PATIENCE) is None
    # MQTT 3.1.1 has no Reason Codes, and QoS 0 nothing to hear.
    assert [item.code is None for item in heard] == [protocol == "3.1.1"] * bool(qos)
    venue.wait_for("a/b", payload)
    attempt.close()


def test_watched_topics_bring_what_is_retained_before_the_greeting(
    venue: Venue,  # noqa: F811
    place: tuple[str, str],  # noqa: F811
) -> None:
    spec = venue.spec()
    venue.publish(f"{spec.status_topic}/who", b"somebody", retain=True)
    attempt = Try(venue.transport, spec, place[1], watch=spec.watched_topics)
    attempt.opened()
    attempt.wait(lambda: attempt.greetings == 1)
    if place[0] == "amqtt":
        # It sends what is retained when it gets round to it.
        attempt.wait(lambda: b"somebody" in [message.payload for message in attempt.messages])
    heard = [message for message in attempt.messages if message.payload == b"somebody"]
    attempt.close()
    # amqtt forgets the flag now and then.
    assert heard
    assert heard[0].retain or place[0] == "amqtt"


def test_a_message_without_a_session_is_refused(venue: Venue, protocol: str) -> None:  # noqa: F811
    attempt = Try(venue.transport, venue.spec(), protocol)
    attempt.opened()
    attempt.close()
    why = publish(attempt.session, OutboundMessage("a/b", b"late")).get(True, PATIENCE)
    assert why is not None
    assert why.code == "not_connected"


def test_a_session_that_ends_says_that_a_message_is_not_acknowledged(
    hub_loop: HubLoop, scripted_broker: ScriptedBroker
) -> None:
    scripted_broker.script = NO_PUBACK
    transport = BrokerTransport(hub_loop, max_packet_bytes=1_048_576)
    attempt = Try(transport, spec_for(scripted_broker.port), "5")
    attempt.opened()
    done = publish(attempt.session, OutboundMessage("a/b", b"lost", 1))
    in_thread(scripted_broker.wait, lambda: len(scripted_broker.sessions[0].publishes) == 2)
    in_thread(scripted_broker.sessions[0].close)
    why = done.get(True, PATIENCE)
    assert why is not None
    assert why.code == "not_connected"


@pytest.mark.parametrize(
    ("qos", "kind"), [(1, PacketType.PUBACK), (2, PacketType.PUBREC)], ids=["qos1", "qos2"]
)
def test_a_message_that_the_broker_refuses_is_told_with_its_reason(
    hub_loop: HubLoop, scripted_broker: ScriptedBroker, qos: int, kind: PacketType
) -> None:
    scripted_broker.script = Script(publish_code=0x87)
    transport = BrokerTransport(hub_loop, max_packet_bytes=1_048_576)
    attempt = Try(transport, spec_for(scripted_broker.port, status_topic=""), "5")
    attempt.opened()
    for _ in range(3):
        # The Packet Identifier is free again each time.
        done = publish(attempt.session, OutboundMessage("a/b", b"no", qos))
        why = done.get(True, PATIENCE)
        assert why is not None
        assert (why.code, why.raw_code) == ("not_authorized", 0x87)
    assert {item.packet_id for item in scripted_broker.sessions[0].publishes} <= {1, 2, 3}
    attempt.close()


def test_the_terms_name_the_keep_alive_in_force(
    hub_loop: HubLoop, scripted_broker: ScriptedBroker
) -> None:
    # Server Keep Alive, 30 s (5, section 3.2.2.3.14).
    scripted_broker.next_scripts.append(Script(connack_properties=b"\x13\x00\x1e"))
    transport = BrokerTransport(hub_loop, max_packet_bytes=1_048_576)
    agreed = []
    for _ in range(2):
        attempt = Try(transport, spec_for(scripted_broker.port, keepalive_s=4), "5")
        attempt.opened()
        agreed.append(attempt.session.terms.keepalive_s)
        attempt.close()
    assert agreed == [30, 4]


def test_the_terms_show_the_brokers_certificate(
    hub_loop: HubLoop, start_mosquitto: Callable[..., Mosquitto], certificates: Certificates
) -> None:
    broker = start_mosquitto(tls=certificates.tls())
    tls = TLSSettings(ca_pem=certificates.ca.certificate_pem)
    transport = BrokerTransport(hub_loop, max_packet_bytes=1_048_576)
    attempt = Try(transport, spec_for(broker.tls_port or 0, host="localhost", tls=tls), "5")
    attempt.opened()
    certificate = attempt.session.terms.certificate
    assert certificate is not None
    shown = x509.load_pem_x509_certificate(certificates.server.certificate.read_bytes())
    verified = tuple(
        hashlib.sha256(ssl.PEM_cert_to_DER_cert(pair.certificate_pem)).hexdigest()
        for pair in (certificates.server, certificates.ca)
    )
    assert certificate == Certificate("CN=server", shown.not_valid_after_utc, verified)
    attempt.close()


def test_what_was_not_verified_is_not_told_as_verified(
    hub_loop: HubLoop, start_mosquitto: Callable[..., Mosquitto], certificates: Certificates
) -> None:
    broker = start_mosquitto(tls=certificates.tls())
    transport = BrokerTransport(hub_loop, max_packet_bytes=1_048_576)
    spec = spec_for(broker.tls_port or 0, host="localhost", tls=TLSSettings(verify=False))
    attempt = Try(transport, spec, "5")
    attempt.opened()
    certificate = attempt.session.terms.certificate
    assert certificate is not None
    assert certificate.verified_chain == ()
    attempt.close()


def test_each_phase_is_told_as_it_begins(
    hub_loop: HubLoop, scripted_broker: ScriptedBroker
) -> None:
    transport = BrokerTransport(hub_loop, max_packet_bytes=1_048_576)
    attempt = Try(transport, spec_for(scripted_broker.port), "5")
    attempt.opened()
    assert attempt.phases == ["dns", "tcp", "connack", "suback"]
    attempt.close()


def test_a_refused_watch_changes_nothing(
    hub_loop: HubLoop, scripted_broker: ScriptedBroker
) -> None:
    scripted_broker.script = Script(suback_code=0x87)
    transport = BrokerTransport(hub_loop, max_packet_bytes=1_048_576)
    attempt = Try(transport, spec_for(scripted_broker.port), "5", watch=("a", "b"))
    assert attempt.opened().refused_filters == ()
    attempt.wait(lambda: attempt.greetings)
    in_thread(scripted_broker.wait, lambda: scripted_broker.sessions[0].filters)
    assert attempt.session.is_open
    attempt.close()
