"""TCP ports on the loopback address."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"
#: Handed out before by this process: the kernel may offer a port again before it is used.
_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, each time another one."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in _given:
            _given.add(port)
            return port


def accepts(port: int, timeout: float = 0.5) -> bool:
    """Return whether something on 127.0.0.1 accepts connections to `port`."""
    try:
        socket.create_connection((HOST, port), timeout).close()
    except OSError:
        return False
    return True
