"""The tools of the message benchmarks tell what passes them, and miss nothing."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench import payloads, wire
from bench.flood_broker import PIECE, POOL
from bench.pace import Pace
from bench.payloads import Tally
from bench.recorder import Recorder
from bench.session import IDENTIFIERS, RawSession
from tests.structure.source import ROOT
from tests.support.mosquitto import Mosquitto
from tests.support.process import HOST, Child, free_port, wait_until

Started = Callable[..., Mosquitto]


def test_a_payload_tells_its_number_while_it_is_whole() -> None:
    made = payloads.make(4711)
    assert len(made) == 100
    assert payloads.number_of(made) == 4711
    assert payloads.make(4711) == made
    for at in range(100):
        spoilt = made[:at] + bytes([made[at] ^ 1]) + made[at + 1 :]
        assert payloads.number_of(spoilt) is None
    assert payloads.number_of(made[:-1]) is None
    assert payloads.number_of(b"") is None


def test_a_tally_knows_what_is_missing_doubled_or_spoilt() -> None:
    tally = Tally()
    tally.add([payloads.make(1), payloads.make(3), payloads.make(3), b"rubbish"])
    assert tally.missing(range(1, 4)) == {2}
    assert (tally.extra, tally.spoilt) == (1, 1)


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_a_stream_is_cut_into_packets_wherever_it_was_cut_before(size: int) -> None:
    packets = [wire.packet(wire.PUBLISH, b"x" * n, 2) for n in (0, 1, 127, 128, 200)]
    stream, splitter = b"".join(packets), wire.Splitter()
    found = [
        whole
        for at in range(0, len(stream), size)
        for _, _, whole in splitter.feed(stream[at : at + size])
    ]
    assert found == packets


@pytest.mark.parametrize("version", [wire.V311, wire.V5])
def test_a_publish_is_read_as_it_was_written(version: int) -> None:
    head = wire.publish_head("a/b", 3, 1, version)
    ((first, body, _),) = wire.Splitter().feed(
        head + b"\1\2" + b"\0" * (version == wire.V5) + b"xyz"
    )
    read = wire.parse_publish(first | wire.DUP, body, version)
    assert read == wire.Publish(b"a/b", 0x0102, True, b"xyz")


def test_the_flood_uses_each_packet_identifier_for_one_payload() -> None:
    assert POOL % PIECE == 0
    assert POOL == IDENTIFIERS < 65_536


def _client(port: int, *, acknowledges: bool) -> tuple[mqtt.Client, list[bytes]]:
    """Return a client with a lasting session on everything, and what comes to it."""
    arrived: list[bytes] = []
    subscribed = threading.Event()
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2,
        "watched",
        clean_session=False,
        protocol=MQTTProtocolVersion.MQTTv311,
        manual_ack=not acknowledges,
    )
    client.on_message = lambda _client, _data, message: arrived.append(bytes(message.payload))
    client.on_subscribe = lambda *_: subscribed.set()
    client.connect(HOST, port)
    client.loop_start()
    client.subscribe("#", 1)
    assert subscribed.wait(10)
    return client, arrived


def _leave(client: mqtt.Client) -> None:
    client.disconnect()
    client.loop_stop()


@pytest.mark.broker
def test_the_recorder_tells_apart_what_was_sent_sent_again_and_acknowledged(
    start_mosquitto: Started,
) -> None:
    broker = start_mosquitto()
    with Recorder(broker.port) as recorder:
        silent, unacknowledged = _client(recorder.port, acknowledges=False)
        with Pace(broker.port, 1000.0, most=5) as pace:
            pace.join()
        wait_until(lambda: len(unacknowledged) == 5, 10, "five messages")
        assert pace.acknowledged == len(pace.sent_at) == 5
        assert recorder.acknowledged == set()
        assert recorder.in_flight == 5
        _leave(silent)
        wait_until(lambda: "Client watched disconnected" in broker.log(), 10, "the end")
        polite, _ = _client(recorder.port, acknowledges=True)
        wait_until(lambda: recorder.acknowledged == set(range(5)), 10, "five PUBACKs")
        assert recorder.in_flight == 0
        _leave(polite)
        assert recorder.sent == dict.fromkeys(range(5), 2)
        assert recorder.sent_again == dict.fromkeys(range(5), 1)
        assert recorder.unknown == 0


@pytest.mark.broker
def test_a_session_that_is_taken_over_tells_what_was_not_acknowledged(
    start_mosquitto: Started,
) -> None:
    broker = start_mosquitto()
    silent, unacknowledged = _client(broker.port, acknowledges=False)
    with Pace(broker.port, 1000.0, most=3):
        wait_until(lambda: len(unacknowledged) == 3, 10, "three messages")
    _leave(silent)
    with RawSession(broker.port, "watched", clean=False) as session:
        session.catch_up()
        assert len(session.received) == 3


@pytest.mark.parametrize("qos", [0, 1])
def test_the_flood_is_as_long_and_as_many_as_it_says(tmp_path: Path, qos: int) -> None:
    port = free_port()
    command = [sys.executable, "-m", "bench.flood_broker", "--port", str(port)]
    command += ["--qos", str(qos), "--rate", "5000", "--seconds", "0.5"]
    with Child(command, tmp_path / "log", cwd=ROOT) as flooder:
        flooder.wait_for_output("ready", 10)
        client, arrived = _client(port, acknowledges=True)
        flooder.send_signal(signal.SIGUSR1)
        flooder.wait_for_output("sent 2500 in ", 10)
        wait_until(lambda: len(arrived) == 2500, 10, "every message")
        assert [payloads.number_of(payload) for payload in arrived] == list(range(2500))
        _leave(client)
        assert flooder.wait() == 0
