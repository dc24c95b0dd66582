"""A broker that accepts a client and then never reads again: a frozen peer."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from typing import Self

from tests.support import packet_reader, packets
from tests.support.process import HOST

JOIN_TIMEOUT = 10.0  # seconds


class DeafBroker:
    """Answers one CONNECT on a free loopback port; afterwards the sockets only fill up."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._listener = socket.create_server((HOST, 0))
        # A small window, so that little unsent data is enough to block.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port: int = self._listener.getsockname()[1]
        self._client: socket.socket | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(JOIN_TIMEOUT)
        if self._client is not None:
            self._client.close()

    def say(self, data: bytes) -> None:
        """Send to the client, which may have spoken first."""
        assert self._client is not None
        self._client.sendall(data)

    def _serve(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._client, _ = self._listener.accept()
            if self._tls is not None:
                self._client = self._tls.wrap_socket(self._client, server_side=True)
            client = self._client
            connect = packet_reader.read_packet(lambda size: _exactly(client, size))
            version = packet_reader.parse_connect(connect.body).version
            client.sendall(packets.connack(version))


def _exactly(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = source.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)
