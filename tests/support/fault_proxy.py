"""A TCP proxy that delays, stalls, resets or refuses what passes through it."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

from tests.support.process import HOST, free_port

CHUNK = 65_536  # bytes
JOIN_TIMEOUT = 10.0  # seconds


class FaultProxy:
    """Listens on `port` and passes everything on to 127.0.0.1:`target`."""

    host = HOST

    def __init__(self, target: int) -> None:
        self.port = free_port()
        #: Seconds that every chunk is held back, in each direction.
        self.latency = 0.0
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._stopped = False
        self.accept()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self._stopped = True
        self.refuse()
        self.resume()
        self.close_all()
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT)
        for end in self._ends():
            end.close()

    def refuse(self) -> None:
        """Refuse new connections; those that are open stay."""
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def accept(self) -> None:
        """Take new connections, again after `refuse`."""
        self._listener = socket.create_server((HOST, self.port), backlog=512)
        self._start(self._accept, self._listener)

    def stall(self) -> None:
        """Let nothing through in either direction; connections stay open, new ones too."""
        self._flowing.clear()

    def resume(self) -> None:
        """Let everything flow again, what was held back first."""
        self._flowing.set()

    def close_all(self) -> None:
        """Close every open connection with FIN at both ends."""
        for end in self._ends():
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def reset_all(self) -> None:
        """Close every open connection with RST at both ends."""
        for end in self._ends():
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.shutdown(socket.SHUT_RD)

    @property
    def open_now(self) -> int:
        """How many connections pass through."""
        return sum(client.fileno() >= 0 for client, _ in list(self._pairs))

    def _ends(self) -> list[socket.socket]:
        return [end for pair in list(self._pairs) for end in pair]

    def _start(self, target: Callable[..., None], *args: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._start(self._connect, client)

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection((HOST, self._target))
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._pairs.append((client, server))
        other_way = self._start(self._pump, client, server)
        self._pump(server, client)
        other_way.join()
        client.close()
        server.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Copy until either end closes, then close both."""
        with contextlib.suppress(OSError):
            while data := source.recv(CHUNK):
                if self.latency:
                    time.sleep(self.latency)
                self._flowing.wait()
                if self._stopped:
                    break
                sink.sendall(data)
        self._hang_up(source)
        self._hang_up(sink)

    @staticmethod
    def _hang_up(end: socket.socket) -> None:
        lingers = end.fileno() >= 0 and end.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER)
        with contextlib.suppress(OSError):
            if lingers:
                # Closing with a zero linger time sends the RST.
                end.close()
            else:
                end.shutdown(socket.SHUT_RDWR)
