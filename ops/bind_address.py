"""`HAWSER_BIND`, read: where the web listens. Standard library only, for manage.py needs it too."""

from __future__ import annotations

import errno
import ipaddress
import os
import re
import socket
import stat
from dataclasses import dataclass, replace

DEFAULT_BIND = "127.0.0.1:8000"
DEFAULT_PORT = 8000
LAST_PORT = 65535
#: Longest path of a socket that the kernel takes, bytes.
_MAX_SOCKET_PATH = 107
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_MUST = (
    "must be an address and a port such as 127.0.0.1:8000, [::1]:8000 or :8000 (every address), "
    "or a Unix socket such as unix:/run/hawser/web.sock; several with commas between them"
)


@dataclass(frozen=True)
class BindAddress:
    """One place where the web listens: host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        """Return what gunicorn calls it."""
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Return what a browser on this machine calls it."""
        return str(self) if self.path else f"http://{replace(self, host=self.reachable_host)}/"

    @property
    def reachable_host(self) -> str:
        """Return the host under which this machine reaches it: not every address is one."""
        everywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound
        return everywhere.get(self.host, self.host)


def bind_addresses(text: str) -> list[BindAddress]:
    """Return what HAWSER_BIND names, at least one. Raises ValueError with a sentence."""
    return [_address(item.strip()) for item in text.split(",")]


def with_port(text: str, port: int) -> str:
    """Return HAWSER_BIND with `port` in place of its own. Raises ValueError with a sentence."""
    found = bind_addresses(text)
    if len(found) > 1 or found[0].path:
        msg = "names more than one address and port, so --port cannot change it; leave one out"
        raise ValueError(msg)
    return str(replace(found[0], port=port))


def _address(item: str) -> BindAddress:
    if item.startswith("unix:"):
        return _socket(item.removeprefix("unix:"))
    if _is_ipv6(item):
        return BindAddress(item, DEFAULT_PORT)
    match = re.fullmatch(r"(\[[^\]]*\]|[^:\[\]]*)(?::([0-9]{1,5}))?", item)
    if match is None or not item:
        raise ValueError(_MUST)
    host = _host(match[1])
    port = DEFAULT_PORT if match[2] is None else int(match[2])
    if not 1 <= port <= LAST_PORT:
        msg = f"needs a port from 1 to {LAST_PORT}"
        raise ValueError(msg)
    return BindAddress(host, port)


def _host(text: str) -> str:
    bare = text.strip("[]")
    if text.startswith("[") and not _is_ipv6(bare):
        raise ValueError(_MUST)
    if text and not text.startswith("[") and not _is_name(text):
        raise ValueError(_MUST)
    return bare or "0.0.0.0"  # noqa: S104 - as every server reads it


def _is_name(text: str) -> bool:
    # No lookup takes a part between dots that is empty or longer than that.
    return bool(_NAME.fullmatch(text)) and all(1 <= len(part) <= 63 for part in text.split("."))


def _socket(rest: str) -> BindAddress:
    path = "/" + rest.lstrip("/")
    is_plain = rest.startswith("/") and path.isprintable() and not path.endswith("/")
    if not is_plain or len(os.fsencode(path)) > _MAX_SOCKET_PATH:
        msg = (
            "needs the whole path of the Unix socket, such as unix:/run/hawser/web.sock, "
            f"in at most {_MAX_SOCKET_PATH} bytes"
        )
        raise ValueError(msg)
    return BindAddress(path=path)


def _is_ipv6(text: str) -> bool:
    try:
        return ipaddress.IPv6Address(text).scope_id is None
    except ValueError:
        return False


def unknown_name(address: BindAddress) -> str | None:
    """Return a sentence if this machine does not know the name of a host, else None."""
    if address.path or ":" in address.host:
        return None
    try:
        # gunicorn binds a name as IPv4.
        socket.getaddrinfo(address.host, address.port, socket.AF_INET, socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return f"names a host that cannot be looked up here; it {_MUST}"
    return None


def problem(address: BindAddress) -> str | None:
    """Return why nobody can listen there on this machine; None if one can, or another does."""
    if address.path:
        return _socket_problem(address.path)
    try:
        try_to_listen(address)
    except OSError as error:
        # Who listens there now may end in a moment.
        if error.errno != errno.EADDRINUSE:
            return f"cannot be listened on ({error.strerror}); name an address of this machine"
    return None


def try_to_listen(address: BindAddress) -> None:
    """Take a place as the web does, and let go of it. Raises OSError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    found = socket.getaddrinfo(address.host, address.port, family, socket.SOCK_STREAM)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose last connections are still fading away is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(found[0][4])


def _socket_problem(path: str) -> str | None:
    directory = os.path.dirname(path)  # noqa: PTH120 - standard library, no links followed
    if not os.path.isdir(directory) or not os.access(directory, os.W_OK | os.X_OK):  # noqa: PTH112
        return "names a Unix socket in a directory that is missing or may not be written"
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return None
    return (
        None if stat.S_ISSOCK(mode) else "names a file that is no Unix socket; remove or rename it"
    )
