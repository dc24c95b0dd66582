"""How gunicorn lets go of a client: without making all others wait for it.

gunicorn 27 closes connections in the thread that accepts them, and waits there until the
client closes too, up to two seconds: one client that does not hold up everybody. To wait is
only needed where a client is still sending, for example an upload that was refused: a plain
close would cut off the answer (RFC 9112, section 9.6).
"""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore

import gunicorn.util

#: Clients that are waited for at the same time, and with those that stand in line: each holds
#: a file.
AT_ONCE, AT_MOST = 4, 64
_CHUNK = 4096
_wait_for = gunicorn.util.close_graceful
_waiting = ThreadPoolExecutor(AT_ONCE, "closing")
_places = BoundedSemaphore(AT_MOST)


def configure() -> None:
    """Make gunicorn use `let_go`."""
    gunicorn.util.close_graceful = let_go


def let_go(client: socket.socket, timeout: float = 2.0, max_drain: int = 65_536) -> None:
    """Close a connection at once; one whose client is still sending, in a thread of its own."""
    if _is_still_sending(client) and _places.acquire(blocking=False):
        _waiting.submit(_wait, client, timeout, max_drain)
        return
    client.close()


def _wait(client: socket.socket, timeout: float, max_drain: int) -> None:
    try:
        _wait_for(client, timeout, max_drain)
    finally:
        _places.release()


def _is_still_sending(client: socket.socket) -> bool:
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)
        client.setblocking(False)
        return bool(client.recv(_CHUNK))
    return False
