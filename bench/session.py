"""A session with a broker that does no more than it must: for publishers and observers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Self

from bench import wire
from bench.ports import HOST

TIMEOUT = 30.0  # seconds, for every answer that is awaited
CHUNK = 262_144  # bytes
#: Packet Identifiers are used in turn; fewer messages than these are ever in flight.
IDENTIFIERS = 65_000
WINDOW = 20_000


class RawSession:
    """MQTT 3.1.1 at 127.0.0.1:`port`; without `clean` an earlier session goes on.

    A context manager ends it without DISCONNECT.
    """

    def __init__(self, port: int, client_id: str, *, clean: bool = True) -> None:
        self._splitter = wire.Splitter()
        self._socket = socket.create_connection((HOST, port), TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sent = 0
        #: PUBLISHes that the broker has acknowledged.
        self.acknowledged = 0
        #: PUBLISHes that came.
        self.received: list[wire.Publish] = []
        self._socket.sendall(wire.connect(client_id, clean=clean))
        self._wait_for(wire.CONNACK)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def subscribe(self, topic_filter: str, qos: int = 0) -> None:
        """Subscribe, and return when the broker has answered."""
        self._socket.sendall(wire.subscribe(topic_filter, qos))
        self._wait_for(wire.SUBACK)

    def catch_up(self) -> None:
        """Return when everything has come that the broker had sent until now."""
        self._socket.sendall(wire.packet(wire.PINGREQ))
        self._wait_for(wire.PINGRESP)

    def send(self, packets: bytes, count: int) -> None:
        """Send `count` PUBLISHes of QoS 1 as soon as the window lets them."""
        while self._sent - self.acknowledged > WINDOW - count:
            self._take()
        self._socket.sendall(packets)
        self._sent += count

    def settle(self) -> None:
        """Return when every PUBLISH of QoS 1 is acknowledged."""
        while self.acknowledged < self._sent:
            self._take()

    def _wait_for(self, kind: int) -> None:
        while kind not in list(self._take()):
            pass

    def _take(self) -> list[int]:
        """Take what came; return the types of the packets. Raises OSError at the end."""
        data = self._socket.recv(CHUNK)
        if not data:
            msg = "the broker has closed the connection"
            raise ConnectionResetError(msg)
        return list(self._sort(data))

    def _sort(self, data: bytes) -> Iterator[int]:
        for first, body, _ in self._splitter.feed(data):
            kind = first >> 4
            if kind == wire.PUBACK:
                self.acknowledged += 1
            elif kind == wire.PUBLISH:
                self.received.append(wire.parse_publish(first, body, wire.V311))
            yield kind


def identifier(number: int) -> bytes:
    """Return the Packet Identifier for the message with this number."""
    return (number % IDENTIFIERS + 1).to_bytes(2, "big")
