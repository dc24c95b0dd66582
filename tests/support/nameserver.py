"""A name server that answers, refuses or says nothing, and a process that asks only it."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import subprocess
import threading
from pathlib import Path
from typing import Self

from tests.support.process import free_port

_A, _IN = 1, 1
#: Response, recursion desired and available.
_ANSWER = 0x8180
_NOERROR, _SERVFAIL, _NXDOMAIN = 0, 2, 3
#: A pointer to the name in the question (RFC 1035, section 4.1.4).
_SAME_NAME = b"\xc0\x0c"


class NameServer:
    """Serves UDP port 53 on a loopback address of its own; needs root.

    Whoever is to ask it is started behind `prefix`, which shows that process another
    /etc/resolv.conf in a mount namespace of its own.
    """

    def __init__(self, directory: Path, *, timeout: int) -> None:
        # Ports are unique on this machine, so this address is unique too.
        number = free_port()
        self.address = f"127.88.{number >> 8}.{number & 0xFF}"
        #: IPv4 addresses by name, with spaces between them; any other name does not exist.
        self.addresses: dict[str, str] = {}
        #: What a name leads to instead from its next answer on: a name that rebinds.
        self.then: dict[str, str] = {}
        #: Names that get no answer at all, and names that get SERVFAIL.
        self.silent: set[str] = set()
        self.failing: set[str] = set()
        #: How often each name was asked for.
        self.asked: dict[str, int] = {}
        self._config = directory / "resolv.conf"
        # The resolver asks once and waits this long, at most 30 s.
        self._config.write_text(
            f"nameserver {self.address}\noptions timeout:{timeout} attempts:1\n", encoding="ascii"
        )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def prefix(self) -> list[str]:
        """The words before a command that is to ask this server; the pid stays the same."""
        script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'
        return ["unshare", "--mount", "sh", "-c", script, str(self._config)]

    def __enter__(self) -> Self:
        self._socket.bind((self.address, 53))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                query, asker = self._socket.recvfrom(512)
                if not query:
                    return
                if (reply := self._reply(query)) is not None:
                    self._socket.sendto(reply, asker)

    def _reply(self, query: bytes) -> bytes | None:
        name, end = _name(query)
        kind, _ = struct.unpack_from("!HH", query, end)
        self.asked[name] = self.asked.get(name, 0) + 1
        if name in self.silent:
            return None
        found = self.addresses.get(name, "").split()
        code = _SERVFAIL if name in self.failing else _NOERROR if found else _NXDOMAIN
        records = [_record(address) for address in found] if kind == _A else []
        if records and name in self.then:
            self.addresses[name] = self.then.pop(name)
        counts = struct.pack("!HHHHH", _ANSWER | code, 1, len(records), 0, 0)
        return query[:2] + counts + query[12 : end + 4] + b"".join(records)


def _record(address: str) -> bytes:
    # Time to live 0: whoever asks again is told anew.
    return _SAME_NAME + struct.pack("!HHIH", _A, _IN, 0, 4) + socket.inet_aton(address)


def _name(query: bytes) -> tuple[str, int]:
    """Return the name in the question and where its type begins."""
    labels, at = [], 12
    while size := query[at]:
        labels.append(query[at + 1 : at + 1 + size].decode("ascii"))
        at += 1 + size
    return ".".join(labels).lower(), at + 1


def why_not() -> str | None:
    """Say why no process here can be given a name server of its own, None if it can."""
    if os.geteuid() != 0:
        return "port 53 and mount namespaces need root"
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "no mount namespaces here"
