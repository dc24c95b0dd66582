"""TCP ports on the loopback address; two processes are never given the same one."""

from __future__ import annotations

import atexit
import functools
import itertools
import socket
from collections.abc import Iterator

HOST = "127.0.0.1"
#: Linux takes the ports of outgoing connections from 32768 up: below it a port without a
#: server stays free, and a server that is restarted finds its port again.
PORTS = range(20_000, 32_768)
#: A process takes as many at once: enough for the tests of a long while.
BLOCK = 400


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on, each time another one."""
    return next(filter(_is_free, _own_ports()))


def accepts(port: int, timeout: float = 0.5) -> bool:
    """Return whether something on 127.0.0.1 accepts connections to `port`."""
    try:
        socket.create_connection((HOST, port), timeout).close()
    except OSError:
        return False
    return True


@functools.cache
def _own_ports() -> Iterator[int]:
    """Return the ports of a block that no other process has, over and over."""
    for first in PORTS[::BLOCK]:
        claim = socket.socket()
        try:
            # Bound until the process ends: the first port says that the block is taken.
            claim.bind((HOST, first))
        except OSError:
            claim.close()
            continue
        atexit.register(claim.close)
        return itertools.cycle(range(first + 1, min(first + BLOCK, PORTS.stop)))
    msg = f"every block of ports from {PORTS.start} to {PORTS.stop} is taken"
    raise OSError(msg)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
