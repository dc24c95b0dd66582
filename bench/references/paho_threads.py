"""N connects by paho, one thread a connection.

paho waits with select(), which ends at 1,024 file descriptors; beyond that it loses its
connections, so more than `PER_PROCESS` of them are spread over several processes.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from bench.ports import HOST
from bench.references.common import KEEPALIVE, arguments, say_ready

#: paho needs three file descriptors a connection.
PER_PROCESS = 300


def connect(index: int, port: int) -> mqtt.Client:
    """Return one client whose thread is running."""
    client = mqtt.Client(
        CallbackAPIVersion.VERSION2, f"site_{index}_paho", protocol=MQTTProtocolVersion.MQTTv5
    )
    client.will_set(f"site_{index}/backend/status", b"offline", qos=1, retain=True)
    client.connect(HOST, port, KEEPALIVE)
    client.loop_start()
    return client


def hold(port: int, indices: range) -> None:
    """Connect, wait for SIGTERM, disconnect all, then wait for the threads."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clients = [connect(index, port) for index in indices]
    say_ready()
    stop.wait()
    for client in clients:
        client.disconnect()
    for client in clients:
        client.loop_stop()


def share(port: int, count: int, processes: int) -> None:
    """Let `processes` copies of this program hold `count` connections."""
    children: list[subprocess.Popen[bytes]] = []

    def end(*_: object) -> None:
        for child in children:
            child.terminate()

    signal.signal(signal.SIGTERM, end)
    for number in range(processes):
        first, last = (count * edge // processes for edge in (number, number + 1))
        own = ["--first", str(first), "--connections", str(last - first), "--port", str(port)]
        children.append(
            subprocess.Popen([sys.executable, "-m", "bench.references.paho_threads", *own])
        )
    for child in children:
        child.wait()


if __name__ == "__main__":
    given = arguments()
    if given.processes > 1:
        share(given.port, given.connections, given.processes)
    else:
        hold(given.port, range(given.first, given.first + given.connections))
