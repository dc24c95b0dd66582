"""Questions about ports and sockets: is one free, does somebody answer, what is its address."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from ops.errors import CommandError

MAX_PORT = 65535
#: Seconds between two looks at a port that is about to become free.
INTERVAL = 0.1


def require_free(bind: str, cure: str, patience: float = 0.0) -> None:
    """Return if `bind` (host:port) can be listened on, at the latest in `patience` seconds.

    Raises CommandError, ending with `cure`.
    """
    deadline = time.monotonic() + patience
    while True:
        try:
            _require_free_now(bind, cure)
        except CommandError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(INTERVAL)
        else:
            return


def _require_free_now(bind: str, cure: str) -> None:
    host, port = _split(bind)
    if port is None:
        return
    if not 1 <= port <= MAX_PORT:
        msg = f"There is no port {port}: {cure}."
        raise CommandError(msg)
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            # As servers do: a port whose last connections are still fading away is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        msg = f"Port {port} on {host} cannot be used ({error.strerror}): {cure}."
        raise CommandError(msg) from None


def answers(path: Path) -> bool:
    """Say whether a server accepts connections on a Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def url(bind: str) -> str:
    """Return the address that a browser on this machine uses for `bind`."""
    host, port = _split(bind)
    if port is None:
        return bind
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}  # noqa: S104 - not bound
    shown = everywhere.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def _split(bind: str) -> tuple[str, int | None]:
    """Return host and port; no port for what is none, such as a Unix socket."""
    host, _, port = bind.rpartition(":")
    if not port.isdecimal() or bind.startswith("unix:"):
        return bind, None
    return host.strip("[]"), int(port)
