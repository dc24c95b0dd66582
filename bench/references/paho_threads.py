"""N connects by paho, one thread a connection."""

from __future__ import annotations

import signal
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.ports import HOST
from bench.references.common import KEEPALIVE, arguments, say_ready


def connect(index: int, port: int) -> mqtt.Client:
    """Return one client whose thread is running."""
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, f"site_{index}_paho", protocol=MQTTProtocolVersion.MQTTv5
    )
    client.will_set(f"site_{index}/backend/status", b"offline", qos=1, retain=True)
    client.connect(HOST, port, KEEPALIVE)
    client.loop_start()
    return client


def main(port: int, count: int) -> None:
    """Connect, wait for SIGTERM, disconnect all, then wait for the threads."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clients = [connect(index, port) for index in range(count)]
    say_ready()
    stop.wait()
    for client in clients:
        client.disconnect()
    for client in clients:
        client.loop_stop()


if __name__ == "__main__":
    given = arguments()
    main(given.port, given.connections)
