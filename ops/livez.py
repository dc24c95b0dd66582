"""`python -m ops.livez`: exit status 0 if the web answers; the container's health check.

It asks `/livez`, which looks at the process alone: a broker or a database that is away
must not restart the container.
"""

from __future__ import annotations

import http.client
import os
import socket
import sys

from ops import listening, standard_streams
from ops.bind_address import DEFAULT_BIND, BindAddress
from ops.errors import SettingError

TIMEOUT = 4.0  # seconds


class _SocketConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket instead of a host."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(TIMEOUT)
        self.sock.connect(self._path)


def is_alive(bind: str) -> bool:
    """Return whether the web at the first address of `bind` answers `/livez` with 200."""
    connection = _connection(listening.addresses(bind)[0])
    try:
        # No proxy is asked: a container's proxy settings are meant for other machines.
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _connection(address: BindAddress) -> http.client.HTTPConnection:
    if address.path:
        return _SocketConnection(address.path)
    host = address.reachable_host
    return http.client.HTTPConnection(host, address.port, timeout=TIMEOUT)


def main() -> int:
    """Ask once; return the exit status that a health check expects."""
    try:
        return 0 if is_alive(os.environ.get("HAWSER_BIND") or DEFAULT_BIND) else 1
    except SettingError as error:
        sys.stderr.write(f"hawser: {error}\n")
        return 1


if __name__ == "__main__":
    standard_streams.run(main)
