"""A try ends with one report, in time, with the right reason, and leaves no socket behind."""

from __future__ import annotations

import errno
import socket
import time

import pytest

from database import destinations
from database.reasons import CONNACK_311, REASON_CODES_5
from mqttworker.core.events import Failed, Opened
from mqttworker.core.spec import SubscriptionSpec
from tests.support import packets, scripts
from tests.support.process import free_port
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import in_thread, no_socket_left, spec_for

QUICK = 0.5  # seconds, well below any deadline of the tries here
VERSIONS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@VERSIONS
def test_a_session_opens_once(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str
) -> None:
    attempt = open_try(spec_for(scripted_broker.port), protocol)
    assert attempt.opened() == Opened(protocol)
    was_open = attempt.session.is_open
    attempt.close()
    assert len(attempt.events) == 2
    assert (was_open, attempt.session.is_open) == (True, False)
    no_socket_left(scripted_broker)


def test_a_port_without_listener_refuses(open_try: OpenTry) -> None:
    attempt = open_try(spec_for(free_port()))
    assert attempt.failure(QUICK).code == "tcp_refused"
    assert not attempt.session.is_open


def test_a_name_that_does_not_exist_is_named(open_try: OpenTry) -> None:
    why = open_try(spec_for(1883, host="nothing.invalid")).failure()
    assert why.code == "dns_failed"
    assert why.detail["error"]


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example", "\u2028.example"])
def test_a_name_that_cannot_be_looked_up_is_named(open_try: OpenTry, host: str) -> None:
    assert open_try(spec_for(1883, host=host)).failure().code == "dns_failed"


def test_a_link_local_address_is_dialled_with_its_zone(
    open_try: OpenTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = destinations.Rule(destinations.networks_of("fe80::/10"))
    monkeypatch.setattr(destinations, "_rule", rule)
    # What answers depends on the machine; without a zone Linux does not even try.
    why = open_try(spec_for(free_port(), host="fe80::1%1", connect_timeout_s=0.5)).failure()
    assert why.raw_code != errno.EINVAL


def test_a_host_that_does_not_answer_is_given_up_in_time(open_try: OpenTry) -> None:
    # A full accept queue drops SYNs as a firewall does.
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [_half_open(port) for _ in range(4)]
        attempt = open_try(spec_for(port, connect_timeout_s=0.5))
        why = attempt.failure(QUICK + 0.3)
        assert why.code == "tcp_timeout"
        assert time.monotonic() - attempt.started_at >= 0.5
        for filler in fillers:
            filler.close()


def _half_open(port: int) -> socket.socket:
    filler = socket.socket()
    filler.setblocking(False)
    filler.connect_ex(("127.0.0.1", port))
    return filler


@pytest.mark.parametrize(
    ("script", "keepalive"),
    [(scripts.SILENT, 5), (scripts.NO_CONNACK, 5), (scripts.NO_CONNACK, 1)],
)
def test_a_broker_without_connack_is_given_up_at_the_deadline(
    scripted_broker: ScriptedBroker, open_try: OpenTry, script: Script, keepalive: int
) -> None:
    scripted_broker.script = script
    # Longer than the broker may be silent once the session is up.
    deadline = 2.8 if keepalive == 1 else 0.5
    spec = spec_for(scripted_broker.port, connect_timeout_s=deadline, keepalive_s=keepalive)
    attempt = open_try(spec)
    assert attempt.failure().code == "connack_timeout"
    assert deadline <= time.monotonic() - attempt.started_at < deadline + 0.3
    no_socket_left(scripted_broker)
    assert scripted_broker.sessions[0].pings == 0


def test_a_slow_connack_is_waited_for(scripted_broker: ScriptedBroker, open_try: OpenTry) -> None:
    # 1.5 Keep Alives and a second are over when it comes.
    scripted_broker.script = Script(connack_delay=2.7)
    open_try(spec_for(scripted_broker.port, keepalive_s=1)).opened()


@pytest.mark.parametrize("script", [scripts.CLOSE_BEFORE_CONNACK, scripts.RESET_BEFORE_CONNACK])
def test_a_close_before_connack_is_reported_at_once(
    scripted_broker: ScriptedBroker, open_try: OpenTry, script: Script
) -> None:
    scripted_broker.script = script
    assert open_try(spec_for(scripted_broker.port)).failure(QUICK).code == "closed_before_connack"
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    # The second asked whether the port speaks TLS; it says nothing of MQTT.
    assert (len(scripted_broker.connects), len(scripted_broker.sessions)) == (1, 2)


def test_a_port_is_asked_once_for_tls_in_a_row_of_closes(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = scripts.CLOSE_BEFORE_CONNACK
    for _ in range(3):
        why = open_try(spec_for(scripted_broker.port)).failure(QUICK)
        assert why.code == "closed_before_connack"
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now)
    assert (len(scripted_broker.connects), len(scripted_broker.sessions)) == (3, 4)


@pytest.mark.parametrize(("code", "reason"), sorted(CONNACK_311.items()))
def test_each_return_code_of_311_has_its_reason(
    scripted_broker: ScriptedBroker, open_try: OpenTry, code: int, reason: str
) -> None:
    scripted_broker.script = scripts.refuse(code)
    why = open_try(spec_for(scripted_broker.port), "3.1.1").failure(QUICK)
    assert (why.code, why.raw_code) == (reason, code)
    no_socket_left(scripted_broker)


@pytest.mark.parametrize(
    ("code", "reason"), sorted(item for item in REASON_CODES_5.items() if item[0] >= 0x80)
)
def test_each_reason_code_of_5_has_its_reason(
    scripted_broker: ScriptedBroker, open_try: OpenTry, code: int, reason: str
) -> None:
    scripted_broker.script = scripts.refuse(code)
    why = open_try(spec_for(scripted_broker.port)).failure(QUICK)
    assert (why.code, why.raw_code) == (reason, code)
    no_socket_left(scripted_broker)


@pytest.mark.parametrize(("protocol", "code"), [("5", 0xF7), ("3.1.1", 99)])
def test_a_code_that_nobody_knows_is_still_a_refusal(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str, code: int
) -> None:
    scripted_broker.script = scripts.refuse(code)
    why = open_try(spec_for(scripted_broker.port), protocol).failure(QUICK)
    assert (why.code, why.raw_code) == ("unspecified_error", code)


@pytest.mark.parametrize("code", [1, 5])
def test_a_broker_without_mqtt_5_answers_as_in_311_and_nothing_downgrades(
    scripted_broker: ScriptedBroker, open_try: OpenTry, code: int
) -> None:
    # Two bytes, without the properties that an MQTT 5 CONNACK has.
    scripted_broker.script = Script(instead_of_connack=bytes([0x20, 2, 0, code]))
    why = open_try(spec_for(scripted_broker.port)).failure(QUICK)
    assert (why.code, why.raw_code) == (CONNACK_311[code], code)
    no_socket_left(scripted_broker)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(bytes([0x20, 0]), id="empty CONNACK"),
        pytest.param(bytes([0x20, 1, 0]), id="short CONNACK"),
        pytest.param(bytes([0x20, 5, 0, 0, 2, 0x7E, 1]), id="CONNACK with unknown property"),
        pytest.param(bytes([0x90, 3, 0, 1, 0]), id="SUBACK first"),
        pytest.param(bytes([0x21, 2, 0, 0]), id="reserved flags"),
        pytest.param(bytes([0x30, 0x80, 0x80, 0x80, 0x80, 1]), id="bad Remaining Length"),
    ],
)
def test_a_packet_that_is_no_connack_breaks_the_protocol(
    scripted_broker: ScriptedBroker, open_try: OpenTry, answer: bytes
) -> None:
    scripted_broker.script = Script(instead_of_connack=answer)
    assert open_try(spec_for(scripted_broker.port)).failure(QUICK).code == "protocol_error"
    no_socket_left(scripted_broker)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(scripts.GARBAGE.instead_of_connack, id="a web server"),
        pytest.param(b"\0\0\0\0", id="type 0"),
        pytest.param(b"\x15\x04", id="an alert of no version of TLS"),
    ],
)
def test_what_is_no_packet_is_no_mqtt(
    scripted_broker: ScriptedBroker, open_try: OpenTry, answer: bytes
) -> None:
    scripted_broker.script = Script(instead_of_connack=answer)
    assert open_try(spec_for(scripted_broker.port)).failure(QUICK).code == "not_mqtt"
    no_socket_left(scripted_broker)


def test_a_session_that_is_closed_with_its_connack_is_lost_not_deaf(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    for protocol in ("5", "3.1.1"):
        scripted_broker.script = scripts.close_after(0.0)
        attempt = open_try(spec_for(scripted_broker.port), protocol)
        attempt.opened(QUICK)
        assert attempt.loss(QUICK).code in {"peer_closed", "connection_reset"}
        assert len(attempt.events) == 2


def test_a_client_that_is_taken_over_with_its_connack_hears_why(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = Script(after_connack=packets.disconnect(0x8E))
    attempt = open_try(spec_for(scripted_broker.port))
    attempt.opened(QUICK)
    assert attempt.loss(QUICK).code == "session_taken_over"


@VERSIONS
def test_messages_right_after_the_connack_are_taken(
    scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str
) -> None:
    # As a broker does that kept a session for us.
    version = 5 if protocol == "5" else 4
    early = packets.publish(version, "a", b"early", qos=1, packet_id=3)
    scripted_broker.script = Script(after_connack=early)
    subscriptions = (SubscriptionSpec("a", 1),)
    attempt = open_try(spec_for(scripted_broker.port, subscriptions=subscriptions), protocol)
    attempt.opened(QUICK)
    assert [message.payload for message in attempt.messages] == [b"early"]


def test_nothing_comes_after_a_failure(scripted_broker: ScriptedBroker, open_try: OpenTry) -> None:
    scripted_broker.script = scripts.refuse(0x87)
    attempt = open_try(spec_for(scripted_broker.port))
    attempt.failure(QUICK)
    no_socket_left(scripted_broker)
    attempt.session.abort()
    assert [type(event) for event in attempt.events] == [Failed]
