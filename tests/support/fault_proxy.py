"""A TCP proxy that delays, slows, cuts up, corrupts, stalls, resets or refuses what passes it."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Self

from tests.support.process import HOST, free_port

CHUNK = 65_536  # bytes
JOIN_TIMEOUT = 10.0  # seconds


#: What waits to be delivered, and from when; no bytes are the end.
Line = SimpleQueue[tuple[float, bytes]]


class FaultProxy:
    """Listens on `host`:`port` and passes everything on to 127.0.0.1:`target`.

    `listen` makes the listening socket, for a proxy that stands in another network.
    """

    def __init__(
        self, target: int, host: str = HOST, listen: Callable[[int], socket.socket] | None = None
    ) -> None:
        self.host = host
        self.port = free_port()
        #: Seconds that every chunk is held back, in each direction.
        self.latency = 0.0
        #: How much longer or shorter that may be at random, as a share.
        self.jitter = 0.0
        #: Bytes a second in each direction; None is as fast as it goes.
        self.rate: float | None = None
        #: Most bytes that are passed on in one piece.
        self.slice = CHUNK
        #: The chance of a byte to arrive as another one.
        self.corrupt = 0.0
        #: What a client says, one after the other, before its connection ends in place of an
        #: answer to the last; then this is empty again.
        self.ends_after: tuple[bytes, ...] = ()
        #: Connections that were ever made to it.
        self.accepted = 0
        self._listen = listen or (lambda port: socket.create_server((host, port), backlog=512))
        self._target = target
        self._flowing = threading.Event()
        self._flowing.set()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None
        self._stopped = threading.Event()
        self.accept()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        self._stopped.set()
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
        self._listener = self._listen(self.port)
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
            self.accepted += 1
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
        line: Line = SimpleQueue()
        delivery = self._start(self._deliver, line, source, sink)
        with contextlib.suppress(OSError):
            due, said = 0.0, 0
            while data := source.recv(CHUNK):
                # Who writes into a line that stalls must feel it: nothing more is read.
                self._flowing.wait()
                # What came first is delivered first, whatever the jitter.
                due = max(due, time.monotonic() + self._delay())
                line.put((due, self._corrupted(data)))
                while said < len(self.ends_after) and self.ends_after[said] in data:
                    said += 1
                if said and said == len(self.ends_after):
                    self.ends_after = ()
                    break
        # The end is held back too: a line that is dead does not say so.
        self._flowing.wait()
        line.put((0.0, b""))
        delivery.join()
        self._hang_up(source)
        self._hang_up(sink)

    def _deliver(self, line: Line, source: socket.socket, sink: socket.socket) -> None:
        try:
            while (item := line.get())[1]:
                self._stopped.wait(max(0.0, item[0] - time.monotonic()))
                self._flowing.wait()
                for piece in self._pieces(item[1]):
                    sink.sendall(piece)
        except OSError:
            self._hang_up(source)
            self._hang_up(sink)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), self.slice):
            if self._stopped.is_set():
                return
            piece = data[start : start + self.slice]
            yield piece
            if self.rate:
                self._stopped.wait(len(piece) / self.rate)

    def _delay(self) -> float:
        return self.latency * random.uniform(1 - self.jitter, 1 + self.jitter)

    def _corrupted(self, data: bytes) -> bytes:
        if not self.corrupt:
            return data
        return bytes(
            random.randrange(256) if random.random() < self.corrupt else byte for byte in data
        )

    @staticmethod
    def _hang_up(end: socket.socket) -> None:
        lingers = end.fileno() >= 0 and end.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER)
        with contextlib.suppress(OSError):
            if lingers:
                # Closing with a zero linger time sends the RST.
                end.close()
            else:
                end.shutdown(socket.SHUT_RDWR)
