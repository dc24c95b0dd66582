"""Another network behind a cable that can be cut: a network namespace and two TUN devices.

What one end sends is carried to the other by a thread of this process, which loses it if
it is told to. So both ends keep their addresses and routes and hear of nothing, as when a
switch in between dies. Needs root, network namespaces and /dev/net/tun.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import random
import select
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self, TypeVar

from tests.support.process import free_port

_CLONE_NEWNET = 0x4000_0000
_TUNSETIFF = 0x4004_54CA
#: Whole IP packets, without a header of the driver.
_IFF_TUN_NO_PI = 0x0001 | 0x1000
#: Larger than what the devices carry in one packet.
_MTU = 65_536
#: Addresses that no real network uses (RFC 2544).
_RANGE = "198.18"
_TUN = Path("/dev/net/tun")

T = TypeVar("T")


def why_not() -> str | None:
    """Say why this machine has no such networks, None if it has."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    try:
        with Cable():
            return None
    except OSError as error:
        return f"no network namespace with a TUN device here ({error})"


class Cable:
    """Joins `near`, an address of this machine, to `far`, one in the other network."""

    def __init__(self) -> None:
        # Ports are unique on this machine, so these are unique too: two addresses each.
        number = free_port() * 2
        prefix = f"{_RANGE}.{number >> 8 & 0xFF}"
        self.near, self.far = f"{prefix}.{number & 0xFF}", f"{prefix}.{number & 0xFF | 1}"
        #: The chance of a packet to be lost.
        self.loss = 0.0
        #: Whether the cable carries what goes to the far end, and what comes from there.
        self.carries_out = self.carries_back = True
        self._name = f"hw{number}"
        self._inside = ThreadPoolExecutor(1, thread_name_prefix=self._name)
        self._devices: list[int] = []
        self._wake = os.pipe()
        self._carrier = threading.Thread(target=self._carry, daemon=True)

    def __enter__(self) -> Self:
        try:
            self._devices.append(self._device(self.near, self.far))
            self.inside(_leave_network)
            self._devices.append(self.inside(lambda: self._device(self.far, self.near)))
        except OSError:
            self.__exit__()
            raise
        self._carrier.start()
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._wake[1])
        if self._carrier.is_alive():
            self._carrier.join()
        # The network goes with the last thing in it: this thread, its device, its sockets.
        self._inside.shutdown()
        for descriptor in (self._wake[0], *self._devices):
            os.close(descriptor)

    def inside(self, function: Callable[[], T]) -> T:
        """Return `function()`, called in the other network."""
        return self._inside.submit(function).result()

    def listen(self, port: int) -> socket.socket:
        """Return a socket that listens at the far end; it can be used from any thread."""
        return self.inside(lambda: socket.create_server((self.far, port), backlog=512))

    def cut(self) -> None:
        """Carry nothing more, in either direction."""
        self.carries_out = self.carries_back = False

    def mend(self) -> None:
        """Carry everything again."""
        self.carries_out = self.carries_back = True

    def _device(self, address: str, peer: str) -> int:
        descriptor = os.open(_TUN, os.O_RDWR)
        request = struct.pack("16sH22x", self._name.encode(), _IFF_TUN_NO_PI)
        try:
            fcntl.ioctl(descriptor, _TUNSETIFF, request)
            _ip("address", "add", address, "peer", peer, "dev", self._name)
            _ip("link", "set", self._name, "up")
        except OSError:
            os.close(descriptor)
            raise
        return descriptor

    def _carry(self) -> None:
        near, far = self._devices
        while True:
            ready, _, _ = select.select([near, far, self._wake[0]], [], [])
            if self._wake[0] in ready:
                return
            if near in ready:
                self._pass_on(near, far, self.carries_out)
            if far in ready:
                self._pass_on(far, near, self.carries_back)

    def _pass_on(self, source: int, sink: int, carried: bool) -> None:
        packet = os.read(source, _MTU)
        if carried and random.random() >= self.loss:
            os.write(sink, packet)


def _leave_network() -> None:
    """Put this thread, and what it starts and opens, into a network of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(done.stderr.strip() or f"ip {' '.join(words)} failed")
