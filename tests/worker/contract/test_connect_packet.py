"""What goes into the CONNECT, as a broker reads it."""

from __future__ import annotations

import pytest

from mqttworker.adapters.gmqtt_client import BrokerClient
from tests.support.mosquitto import Mosquitto
from tests.support.packets import V5, V311, Connect, Will
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.contract.conftest import MAX_PACKET, OpenTry
from tests.worker.contract.sessions import Try, in_thread, spec_for

BOTH = pytest.mark.parametrize(("protocol", "version"), [("5", V5), ("3.1.1", V311)])
SESSION_EXPIRY, RECEIVE_MAXIMUM, MAXIMUM_PACKET_SIZE = 0x11, 0x21, 0x27


def _connect(broker: ScriptedBroker, attempt: Try) -> Connect:
    attempt.opened()
    return broker.connects[-1]


@BOTH
def test_a_connect_says_who_we_are_and_what_our_death_means(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str, version: int
) -> None:
    spec = spec_for(scripted_broker.port, keepalive_s=7)
    said = _connect(scripted_broker, open_try(spec, protocol))
    assert said.version == version
    assert said.client_id == spec.client_id
    assert said.clean_start is True
    assert said.keepalive == 7
    assert said.will == Will(spec.status_topic, b"offline", qos=1, retain=True)
    assert (said.username, said.password) == (None, None)


@BOTH
def test_a_login_is_sent_as_it_was_entered(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str, version: int
) -> None:
    spec = spec_for(scripted_broker.port, username="Jürgen", password="größer ✓")
    said = _connect(scripted_broker, open_try(spec, protocol))
    assert said.version == version
    assert (said.username, said.password) == ("Jürgen", "größer ✓".encode())


def test_a_user_name_may_come_without_a_password(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    said = _connect(scripted_broker, open_try(spec_for(scripted_broker.port, username="u")))
    assert (said.username, said.password) == ("u", None)


@pytest.mark.parametrize("password", ["alone", "größer ✓", "x" * 70, "x" * 60_000])
@pytest.mark.parametrize("status_topic", ["", "a/status"])
def test_mqtt_5_carries_a_password_without_a_user_name(
    scripted_broker: ScriptedBroker, open_try: OpenTry, password: str, status_topic: str
) -> None:
    spec = spec_for(scripted_broker.port, password=password, status_topic=status_topic)
    said = _connect(scripted_broker, open_try(spec, "5"))
    assert (said.version, said.username, said.password) == (V5, None, password.encode())
    assert said.client_id == spec.client_id
    assert (said.will is None) is (status_topic == "")


def test_a_broker_takes_a_password_without_a_user_name(
    mosquitto: Mosquitto, open_try: OpenTry
) -> None:
    open_try(spec_for(mosquitto.port, password="alone"), "5").opened()


def test_mqtt_3_1_1_never_gets_a_password_without_a_user_name(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    # Neither rules nor `auto` let it come to that; an illegal packet must not go out either.
    spec = spec_for(scripted_broker.port, password="alone")
    said = _connect(scripted_broker, open_try(spec, "3.1.1"))
    assert (said.version, said.username, said.password) == (V311, None, None)


@BOTH
def test_names_beyond_ascii_arrive_whole(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str, version: int
) -> None:
    spec = spec_for(
        scripted_broker.port,
        client_id="Werk_Köln_日本",
        status_topic="Werk/Köln/状態",
        offline_payload="weg ☁ schade",
        online_payload="da ☀",
    )
    attempt = open_try(spec, protocol)
    said = _connect(scripted_broker, attempt)
    assert said.version == version
    assert said.client_id == spec.client_id
    assert said.will == Will(spec.status_topic, spec.offline_payload.encode(), qos=1, retain=True)
    attempt.close()
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    first, last = scripted_broker.sessions[0].publishes
    assert (first.topic, first.payload) == (spec.status_topic, spec.online_payload.encode())
    assert (last.topic, last.payload) == (spec.status_topic, spec.offline_payload.encode())


@pytest.mark.parametrize(("qos", "retain"), [(0, False), (1, False), (2, True)])
def test_the_will_has_the_qos_and_retain_of_the_record(
    scripted_broker: ScriptedBroker, open_try: OpenTry, qos: int, retain: bool
) -> None:
    spec = spec_for(scripted_broker.port, status_qos=qos, status_retain=retain)
    attempt = open_try(spec)
    said = _connect(scripted_broker, attempt)
    assert said.will == Will(spec.status_topic, b"offline", qos, retain)
    assert attempt.close() < 1.0
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    sent = scripted_broker.sessions[0].publishes
    assert [(item.payload, item.qos, item.retain) for item in sent] == [
        (b"online", qos, retain),
        (b"offline", qos, retain),
    ]


def test_mqtt_5_announces_our_largest_packet_and_how_many_at_once(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    said = _connect(scripted_broker, open_try(spec_for(scripted_broker.port)))
    assert said.properties == {MAXIMUM_PACKET_SIZE: MAX_PACKET, RECEIVE_MAXIMUM: 8192}


def test_a_kept_session_says_for_how_long(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    spec = spec_for(scripted_broker.port, clean_session=False, session_expiry_s=3600)
    said = _connect(scripted_broker, open_try(spec))
    assert said.clean_start is False
    assert said.properties[SESSION_EXPIRY] == 3600


def test_every_try_has_a_client_of_its_own(
    scripted_broker: ScriptedBroker, open_try: OpenTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[BrokerClient] = []
    original = BrokerClient.__init__

    def noting(self: BrokerClient, *args: object, **kwargs: object) -> None:
        made.append(self)
        original(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(BrokerClient, "__init__", noting)
    spec = spec_for(scripted_broker.port)
    for _ in range(5):
        open_try(spec).opened()
    assert len({id(client) for client in made}) == 5
    # A client that is used again loses a Packet Identifier with each session.
    in_thread(scripted_broker.wait, lambda: all(s.publishes for s in scripted_broker.sessions))
    first_ids = [session.publishes[0].packet_id for session in scripted_broker.sessions]
    assert first_ids == [1] * 5
