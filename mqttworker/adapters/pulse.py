"""A sign of life by datagram: it costs nothing, never blocks and needs no database.

The kernel says who sent it. An outage of the database, a full disk or a missing listener
cannot make a living process look frozen, nor hold it up.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

#: Name of the socket in HAWSER_HOME.
SOCKET_NAME = "pulse.sock"
ALIVE, GOODBYE = b"alive", b"goodbye"
_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid: `struct ucred` of unix(7)


class Pulse:
    """The end that shows it is alive."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._directory: int | None = None
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def beat(self) -> None:
        """Say that this process is alive, to whoever listens."""
        self._send(ALIVE)

    def goodbye(self) -> None:
        """Say that nothing more will come."""
        self._send(GOODBYE)
        self._socket.close()
        if self._directory is not None:
            os.close(self._directory)

    def _send(self, word: bytes) -> None:
        try:
            if self._directory is None:
                self._directory = _opened(self._home)
            self._socket.sendto(word, _address(self._directory))
        except OSError:
            # Nobody listens, or not fast enough: nothing to us.
            pass


class PulseSocket:
    """The end that listens; takes the place of a listener before it. Raises OSError."""

    def __init__(self, home: Path) -> None:
        (home / SOCKET_NAME).unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        directory = _opened(home)
        self._socket.bind(_address(directory))
        os.close(directory)

    def fileno(self) -> int:
        """Return the file descriptor, to be waited for."""
        return self._socket.fileno()

    def receive(self) -> Iterator[tuple[int, bytes]]:
        """Yield process id and word of each datagram that this user's processes sent."""
        while True:
            try:
                word, extra, _, _ = self._socket.recvmsg(16, socket.CMSG_SPACE(_CREDENTIALS.size))
            except BlockingIOError:
                return
            for _, kind, data in extra:
                if kind == socket.SCM_CREDENTIALS:
                    pid, uid, _ = _CREDENTIALS.unpack(data)
                    # A process that this namespace does not know has the pid 0.
                    if uid == os.getuid() and pid > 0:
                        yield pid, word


def _opened(home: Path) -> int:
    return os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


def _address(directory: int) -> str:
    """Return the socket's path by way of an open directory: a long path would not fit."""
    return f"/proc/self/fd/{directory}/{SOCKET_NAME}"
