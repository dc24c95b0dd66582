"""One client: its socket, what has come of its request, and what it has not yet taken.

A channel belongs to one thread at a time: to the poller, which never waits, or to the thread that
answers. Only a body that is too large to be awaited is read by a thread, within a deadline.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections import deque
from typing import Any

from webapp.server.incoming import IncomingRequest, Progress

#: Seconds for the head of a request, for a small body after it, and for a large one.
HEAD_S, BODY_S, LARGE_BODY_S = 10.0, 20.0, 120.0
#: How long an answer may stay untaken in all, seconds. Each so many bytes that the client takes
#: earn it one second more, so that a slow line gets a large file, too.
ANSWER_S, BYTES_PER_SECOND = 30.0, 8_192
#: Read from a socket at once, bytes.
CHUNK = 65_536
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: Discards what the client has not taken: the kernel would offer it for minutes.
_RESET = struct.pack("ii", 1, 0)


class Channel:
    """The connection of one client; gunicorn's parser and answers use it like a socket."""

    def __init__(self, sock: socket.socket, client: Any, server: Any) -> None:
        sock.setblocking(False)
        self.sock, self.client, self.server = sock, client, server
        self.request = IncomingRequest()
        #: Whether a request has come and its answer is not yet sent; and that answer.
        self.is_answering = False
        self.answer: Any = None
        #: The threads that answer; set by whoever chooses them.
        self.lane: Any = None
        #: Whether the poller waits for this client.
        self.is_watched = False
        #: When the poller gives up, by `time.monotonic()`.
        self.deadline = time.monotonic() + HEAD_S
        #: Whether the answer was cut off, or the client has gone.
        self.is_broken = False
        self._unread = self._rest = b""
        self._is_large = False
        self._unsent: deque[memoryview] = deque()
        self._patience = ANSWER_S
        self._continued = False

    # --- the poller

    def receive(self) -> bool:
        """Read what has come; return False if the client has gone."""
        try:
            piece = self.sock.recv(CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if self.request.is_empty:
            self.deadline = time.monotonic() + HEAD_S
        before = self.request.progress
        self.request.feed(piece)
        if before is Progress.HEAD and self.request.progress is Progress.BODY:
            self.deadline = time.monotonic() + BODY_S
            self._continue()
        return bool(piece)

    def begin(self) -> None:
        """Give what has come to the thread that answers."""
        self.is_answering = True
        self._unread, self._rest = self.request.split()
        self._is_large = self.request.progress is Progress.LARGE
        # Whoever has sent all of it waits for nothing.
        self._continued = not self._is_large
        self._patience = ANSWER_S
        self.deadline = time.monotonic() + LARGE_BODY_S

    def again(self, wait: float) -> None:
        """Expect another request, the beginning of which may be here, within `wait` seconds."""
        self.is_answering, self.answer, self._continued = False, None, False
        self.request = IncomingRequest(self._rest)
        self.deadline = time.monotonic() + (wait if self.request.is_empty else HEAD_S)

    def park(self) -> None:
        """Count from now on how long the client takes nothing."""
        self.deadline = time.monotonic() + self._patience

    def flush(self) -> None:
        """Send what the client takes of what is unsent. Raises OSError if it has gone."""
        while self._unsent:
            piece = self._unsent[0]
            sent = self._send(piece)
            if sent < len(piece):
                self._unsent[0] = piece[sent:]
                return
            self._unsent.popleft()
        self._patience = max(0.0, self.deadline - time.monotonic())

    @property
    def unsent_bytes(self) -> int:
        """How much of the answer waits for the client."""
        return sum(map(len, self._unsent))

    def abort(self) -> None:
        """Close at once; what is unsent is lost, and the client sees that."""
        with contextlib.suppress(OSError):
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self.sock.close()

    # --- what gunicorn uses of a socket

    def recv(self, size: int) -> bytes:
        """Return the next bytes of the request, at its end none."""
        if self._unread:
            piece, self._unread = self._unread[:size], self._unread[size:]
            return piece
        if not self._is_large:
            return b""
        self._wait_for_more()
        return self.sock.recv(size)

    def sendall(self, data: bytes) -> None:
        """Send `data`, or keep what the client does not take now."""
        sent = 0 if self._unsent else self._send(memoryview(data))
        if sent < len(data):
            self._unsent.append(memoryview(data)[sent:])

    def send(self, _continue: bytes) -> int:
        """Send `100 Continue`, unless that was done."""
        self._continue()
        return len(_continue)

    def gettimeout(self) -> float:
        """Return that nothing here waits."""
        return 0.0

    def _continue(self) -> None:
        if self.request.awaits_continue and not self._continued:
            self._continued = True
            self.sendall(CONTINUE)

    def _wait_for_more(self) -> None:
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        left = self.deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            msg = "the body did not come in time"
            raise TimeoutError(msg)

    def _send(self, data: memoryview) -> int:
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            return 0
        if self._unsent:
            longest = time.monotonic() + ANSWER_S
            self.deadline = min(self.deadline + sent / BYTES_PER_SECOND, longest)
        return sent
