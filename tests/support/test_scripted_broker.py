"""The scripted broker does what its scripts say; otherwise the tests that use it prove nothing."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Callable, Iterator

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support import packet_reader, packets, scripts
from tests.support.process import HOST, wait_until
from tests.support.scripted_broker import ScriptedBroker


class Client:
    """A paho client that notes its CONNACK and the end of its connection."""

    def __init__(
        self, port: int, version: MQTTProtocolVersion = mqtt.MQTTv5, keepalive: int = 60
    ) -> None:
        self.accepted: list[int] = []
        self.lost: list[int] = []
        self.granted: list[int] = []
        self.paho = mqtt.Client(
            CallbackAPIVersion.VERSION2, "tester", protocol=version, reconnect_on_failure=False
        )
        self.paho.will_set("status", b"offline", qos=1, retain=True)
        self.paho.on_connect = lambda _c, _u, _f, code, _p: self.accepted.append(code.value)
        self.paho.on_disconnect = lambda _c, _u, _f, code, _p: self.lost.append(code.value)
        self.paho.on_subscribe = lambda _c, _u, _m, codes, _p: self.granted.extend(
            code.value for code in codes
        )
        self.paho.connect(HOST, port, keepalive)
        self.paho.loop_start()

    def stop(self) -> None:
        self.paho.disconnect()
        self.paho.loop_stop()


Connect = Callable[..., Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    clients: list[Client] = []

    def start(port: int, version: MQTTProtocolVersion = mqtt.MQTTv5, keepalive: int = 60) -> Client:
        clients.append(Client(port, version, keepalive))
        return clients[-1]

    yield start
    for client in clients:
        client.stop()


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_a_good_script_serves_a_client(
    scripted_broker: ScriptedBroker, connect: Connect, version: MQTTProtocolVersion
) -> None:
    client = connect(scripted_broker.port, version)
    wait_until(lambda: client.accepted == [0], 5, "a CONNACK")
    client.paho.subscribe([("a/#", 1), ("b", 2)])
    wait_until(lambda: client.granted == [1, 2], 5, "a SUBACK")
    client.paho.publish("a", b"1", qos=1).wait_for_publish(5)
    client.paho.publish("a", b"2", qos=2).wait_for_publish(5)
    session = scripted_broker.sessions[0]
    assert [(m.topic, m.payload, m.qos) for m in session.publishes] == [
        ("a", b"1", 1),
        ("a", b"2", 2),
    ]
    client.stop()
    scripted_broker.wait(lambda: session.closed_at)
    assert session.ending == "disconnect"


@pytest.mark.parametrize("version", [mqtt.MQTTv311, mqtt.MQTTv5])
def test_the_broker_records_what_a_connect_says(
    scripted_broker: ScriptedBroker, connect: Connect, version: MQTTProtocolVersion
) -> None:
    connect(scripted_broker.port, version, keepalive=7)
    (seen,) = scripted_broker.wait_for_connects(1)
    assert (seen.version, seen.client_id, seen.clean_start) == (version, "tester", True)
    assert seen.keepalive == 7
    assert seen.will == packets.Will("status", b"offline", qos=1, retain=True)


@pytest.mark.parametrize("code", [0x86, 0x87, 0x88, 0x89])
def test_a_refusal_reaches_the_client(
    scripted_broker: ScriptedBroker, connect: Connect, code: int
) -> None:
    scripted_broker.script = scripts.refuse(code)
    client = connect(scripted_broker.port)
    wait_until(lambda: code in client.accepted, 5, "the refusal")


def test_a_taken_over_client_gets_the_reason_code(
    scripted_broker: ScriptedBroker, connect: Connect
) -> None:
    scripted_broker.next_scripts.append(scripts.taken_over(0.1))
    client = connect(scripted_broker.port)
    wait_until(lambda: 0x8E in client.lost, 5, "DISCONNECT 0x8E")


@pytest.mark.parametrize(
    "script",
    [
        scripts.CLOSE_BEFORE_CONNACK,
        scripts.RESET_BEFORE_CONNACK,
        scripts.GARBAGE,
        scripts.close_after(0.1),
        scripts.close_after(0.1, reset=True),
    ],
)
def test_a_client_loses_a_hostile_broker(
    scripted_broker: ScriptedBroker, connect: Connect, script: scripts.Script
) -> None:
    scripted_broker.next_scripts.append(script)
    client = connect(scripted_broker.port)
    wait_until(lambda: client.lost, 5, "a loss")
    again = connect(scripted_broker.port)
    wait_until(lambda: again.accepted == [0], 5, "a CONNACK of the good script")
    assert len(scripted_broker.connects) == 2


def _first_bytes(port: int, seconds: float) -> bytes | None:
    """Send a CONNECT; return what comes first, None if nothing does."""
    body = packets.text("MQTT") + b"\x05\x02\x00\x05\x00" + packets.text("raw")
    with socket.create_connection((HOST, port), seconds) as client:
        client.sendall(packets.packet(packets.PacketType.CONNECT, body))
        try:
            return client.recv(100)
        except TimeoutError:
            return None


@pytest.mark.parametrize("script", [scripts.SILENT, scripts.NO_CONNACK])
def test_a_silent_broker_says_nothing_and_notices_the_end(
    scripted_broker: ScriptedBroker, script: scripts.Script
) -> None:
    scripted_broker.script = script
    assert _first_bytes(scripted_broker.port, 0.3) is None
    scripted_broker.wait(lambda: scripted_broker.sessions and not scripted_broker.open_now)


def test_a_slow_connack_comes_late(scripted_broker: ScriptedBroker) -> None:
    scripted_broker.script = scripts.Script(connack_delay=0.3)
    started = time.monotonic()
    assert _first_bytes(scripted_broker.port, 5) == packets.connack(packets.V5)
    assert time.monotonic() - started >= 0.3


def test_a_reset_is_a_reset(scripted_broker: ScriptedBroker) -> None:
    scripted_broker.script = scripts.RESET_BEFORE_CONNACK
    with pytest.raises(ConnectionResetError):
        _first_bytes(scripted_broker.port, 5)


def test_a_broker_that_stops_answering_pings_counts_them(
    scripted_broker: ScriptedBroker, connect: Connect
) -> None:
    scripted_broker.script = scripts.NO_PINGRESP
    client = connect(scripted_broker.port, keepalive=1)
    wait_until(lambda: client.lost, 10, "the client to give up")
    assert scripted_broker.sessions[0].pings >= 1


@pytest.mark.parametrize(
    ("script", "granted"), [(scripts.SUBACK_FAILURE, [0x80]), (scripts.NO_SUBACK, [])]
)
def test_a_subscription_can_fail_or_hang(
    scripted_broker: ScriptedBroker, connect: Connect, script: scripts.Script, granted: list[int]
) -> None:
    scripted_broker.script = script
    client = connect(scripted_broker.port)
    wait_until(lambda: client.accepted, 5, "a CONNACK")
    client.paho.subscribe("a")
    scripted_broker.wait(lambda: scripted_broker.sessions[0].filters)
    wait_until(lambda: client.granted == granted, 5, "the SUBACK")


def test_a_broker_can_speak_first(scripted_broker: ScriptedBroker, connect: Connect) -> None:
    client = connect(scripted_broker.port)
    received: list[bytes] = []
    client.paho.on_message = lambda _c, _u, message: received.append(bytes(message.payload))
    scripted_broker.wait_for_connects(1)
    session = scripted_broker.sessions[0]
    session.publish("a", b"hello", qos=1, packet_id=9)
    scripted_broker.wait(lambda: (packets.PacketType.PUBACK, 9) in session.acknowledged)
    assert received == [b"hello"]


@pytest.mark.parametrize("size", [0, 127, 128, 16_383, 16_384, 2_097_152])
def test_a_packet_of_any_length_is_read_back(size: int) -> None:
    stream = io.BytesIO(packets.packet(packets.PacketType.PUBLISH, bytes(size), 3) + b"!")
    read = packet_reader.read_packet(stream.read)
    assert (read.type, read.flags, len(read.body)) == (packets.PacketType.PUBLISH, 3, size)
    assert stream.read() == b"!"
