"""A proxy between a worker and its broker that writes down what each acknowledged."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable
from typing import Self

from bench import payloads, wire
from bench.ports import HOST, free_port

CHUNK = 262_144  # bytes
JOIN_TIMEOUT = 10.0  # seconds
Ends = tuple[socket.socket, socket.socket]


class Recorder:
    """Listens on `port` and passes everything on to 127.0.0.1:`target`.

    What is written down is about messages with a number (`bench.payloads`) of QoS 1.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        #: Numbers for which a PUBACK came from the worker.
        self.acknowledged: set[int] = set()
        #: How often each number was sent to the worker, and how often of these with DUP.
        self.sent: Counter[int] = Counter()
        self.sent_again: Counter[int] = Counter()
        #: PUBACKs for what was not in flight.
        self.unknown = 0
        self._target = target
        self._passage: _Passage | None = None
        self._threads: list[threading.Thread] = []
        self._open: list[socket.socket] = []
        self._listener = socket.create_server((HOST, self.port), backlog=16)
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for end in [self._listener, *self._open]:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(JOIN_TIMEOUT)
        self._listener.close()

    @property
    def in_flight(self) -> int:
        """How many messages the worker that is connected has not acknowledged, 0 without one."""
        return self._passage.in_flight if self._passage else 0

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                worker, _ = self._listener.accept()
                broker = socket.create_connection((HOST, self._target))
                for end in (worker, broker):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open += [worker, broker]
                self._passage = passage = _Passage(self)
                self._start(_pump, worker, broker, passage.from_worker, passage.end)
                self._start(_pump, broker, worker, passage.from_broker, passage.end)


class _Passage:
    """One connection: what is in flight on it, by Packet Identifier."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._in_flight: dict[int, int] = {}
        self._version = wire.V5
        self._up, self._down = wire.Splitter(), wire.Splitter()

    @property
    def in_flight(self) -> int:
        """How many messages are not acknowledged."""
        return len(self._in_flight)

    def end(self) -> None:
        """Forget what was in flight: the connection is over."""
        self._in_flight.clear()

    def from_worker(self, data: bytes) -> None:
        for first, body, _ in self._up.feed(data):
            if first >> 4 == wire.CONNECT:
                self._version = body[6]
            elif first >> 4 == wire.PUBACK:
                number = self._in_flight.pop(int.from_bytes(body[:2], "big"), None)
                if number is None:
                    self._recorder.unknown += 1
                elif number >= 0:
                    self._recorder.acknowledged.add(number)

    def from_broker(self, data: bytes) -> None:
        for first, body, _ in self._down.feed(data):
            if first >> 4 != wire.PUBLISH:
                continue
            publish = wire.parse_publish(first, body, self._version)
            number = payloads.number_of(publish.payload)
            if publish.packet_id is not None:
                self._in_flight[publish.packet_id] = -1 if number is None else number
            if number is not None:
                self._recorder.sent[number] += 1
                self._recorder.sent_again[number] += publish.is_dup


def _pump(
    source: socket.socket,
    sink: socket.socket,
    look: Callable[[bytes], None],
    end: Callable[[], None],
) -> None:
    """Copy until either end closes; what passes is looked at before it is passed on."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            look(data)
            sink.sendall(data)
    end()
    for each in (source, sink):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
    source.close()
