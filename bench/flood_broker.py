"""A broker with one client that it floods with PUBLISHes, faster than a real one could.

`python -m bench.flood_broker --port P --qos Q --rate R --seconds S` says `ready`, answers one
client, floods it from SIGUSR1 on, and says `sent N in T s` when the client's socket has taken
everything, at QoS 1 when it has acknowledged everything. It answers on until SIGTERM.
"""

from __future__ import annotations

import argparse
import select
import signal
import socket
import sys
import time
from types import FrameType

from bench import payloads, wire
from bench.ports import HOST
from bench.session import IDENTIFIERS, WINDOW, identifier

TOPIC = "flood/value"
SIZE = 100  # bytes of a payload
#: The messages are these over and over: as many as there are Packet Identifiers.
POOL = IDENTIFIERS
#: Messages in one piece; a divisor of `POOL`.
PIECE = 250
#: Bytes that may wait for the socket before no more are made.
WAITING = 262_144
#: Longest wait for the socket, seconds.
TICK = 0.001
#: Seconds between two looks of a broker that does not flood.
IDLE = 0.1


class FloodBroker:
    """One session, MQTT 3.1.1 or 5, in one thread."""

    def __init__(self, port: int, qos: int, rate: float, seconds: float) -> None:
        self._listener = socket.create_server((HOST, port))
        self._socket: socket.socket
        self._qos, self._rate, self._seconds = qos, rate, seconds
        self._splitter, self._waiting = wire.Splitter(), bytearray()
        self._version = wire.V5
        self._window = WINDOW
        self._pieces: list[bytes] = []
        self._sent = self._acknowledged = 0
        self._began_at: float | None = None
        self._told = False

    def begin(self, _number: int, _frame: FrameType | None) -> None:
        """Flood from now on."""
        self._began_at = time.monotonic()

    def serve(self) -> None:
        """Serve the first client until it leaves."""
        self._socket, _ = self._listener.accept()
        self._socket.setblocking(False)
        while self._take():
            self._make()
            self._write()
            self._tell()

    def _take(self) -> bool:
        """Wait for the socket and answer what came; False when the client has left."""
        writes = [self._socket] if self._waiting else []
        seconds = IDLE if self._began_at is None else TICK
        if not select.select([self._socket], writes, [], seconds)[0]:
            return True
        try:
            data = self._socket.recv(65_536)
        except ConnectionResetError:
            return False
        for first, body, _ in self._splitter.feed(data):
            self._waiting += self._answer(first, body)
        return bool(data)

    def _answer(self, first: int, body: bytes) -> bytes:
        v5 = self._version == wire.V5
        match first >> 4:
            case wire.CONNECT:
                return self._greet(body)
            case wire.SUBSCRIBE:
                count = _filters(body, self._version)
                tail = b"\0" * v5 + bytes([self._qos]) * count
                return wire.packet(wire.SUBACK, body[:2] + tail)
            case wire.PUBLISH:
                packet_id = wire.parse_publish(first, body, self._version).packet_id
                if packet_id is None:
                    return b""
                return wire.packet(wire.PUBACK, packet_id.to_bytes(2, "big"))
            case wire.PUBACK:
                self._acknowledged += 1
            case wire.PINGREQ:
                return wire.packet(wire.PINGRESP)
        return b""

    def _greet(self, connect: bytes) -> bytes:
        self._version = connect[6]
        v5 = self._version == wire.V5
        self._window = min(WINDOW, _receive_maximum(connect) if v5 else WINDOW)
        head = wire.publish_head(TOPIC, SIZE, self._qos, self._version)
        made = [
            head + identifier(n) * self._qos + b"\0" * v5 + payloads.make(n, SIZE)
            for n in range(POOL)
        ]
        self._pieces = [b"".join(made[at : at + PIECE]) for at in range(0, POOL, PIECE)]
        return wire.packet(wire.CONNACK, b"\0\0" + b"\0" * v5)

    def _make(self) -> None:
        """Make what is due and what the window lets through."""
        if self._began_at is None:
            return
        due = min(time.monotonic() - self._began_at, self._seconds) * self._rate
        while self._sent + PIECE <= due and len(self._waiting) < WAITING:
            if self._qos and self._sent - self._acknowledged + PIECE > self._window:
                return
            self._waiting += self._pieces[self._sent // PIECE % len(self._pieces)]
            self._sent += PIECE

    def _write(self) -> None:
        if self._waiting:
            try:
                done = self._socket.send(self._waiting)
            except BlockingIOError:
                return
            del self._waiting[:done]

    def _tell(self) -> None:
        if self._told or self._began_at is None or self._waiting:
            return
        seconds = time.monotonic() - self._began_at
        settled = self._acknowledged == self._sent or not self._qos
        if settled and seconds >= self._seconds:
            self._told = True
            print(f"sent {self._sent} in {seconds:.3f} s", flush=True)


def _receive_maximum(connect: bytes) -> int:
    """Return the Receive Maximum of a CONNECT of MQTT 5 (section 3.1.2.11.3)."""
    size = connect[10]
    assert size < 128, "more properties than this reader expects"
    properties, at = connect[11 : 11 + size], 0
    while at < size:
        kind = properties[at]
        if kind == 0x21:
            return int.from_bytes(properties[at + 1 : at + 3], "big")
        at += {0x11: 5, 0x22: 3, 0x27: 5, 0x17: 2, 0x19: 2}[kind]
    return 65_535


def _filters(body: bytes, version: int) -> int:
    """Return how many Topic Filters a SUBSCRIBE holds."""
    at = 3 + body[2] if version == wire.V5 else 2
    count = 0
    while at < len(body):
        at += 3 + int.from_bytes(body[at : at + 2], "big")
        count += 1
    return count


def main() -> None:
    """Serve one client as the command line says."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--qos", type=int, choices=[0, 1], required=True)
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    given = parser.parse_args()
    broker = FloodBroker(given.port, given.qos, given.rate, given.seconds)
    signal.signal(signal.SIGUSR1, broker.begin)
    print("ready", flush=True)
    broker.serve()
    sys.exit(0)


if __name__ == "__main__":
    main()
