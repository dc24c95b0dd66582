"""Questions about ports and sockets: is one free, does somebody answer, what is its address."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from ops.bind_address import BindAddress, bind_addresses, problem, try_to_listen
from ops.errors import CommandError, SettingError

#: Seconds between two looks at a port that is about to become free.
INTERVAL = 0.1


def require_free(bind: str, cure: str, patience: float = 0.0) -> None:
    """Return if all of `bind` (see HAWSER_BIND) can be listened on, at the latest in `patience` s.

    Raises CommandError, ending with `cure`, or SettingError.
    """
    deadline = time.monotonic() + patience
    for address in addresses(bind):
        while True:
            try:
                _require_free_now(address, cure)
            except CommandError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(INTERVAL)
            else:
                break


def addresses(bind: str) -> list[BindAddress]:
    """Return what HAWSER_BIND names. Raises SettingError."""
    try:
        return bind_addresses(bind)
    except ValueError as error:
        msg = f"HAWSER_BIND {error}"
        raise SettingError(msg) from None


def _require_free_now(address: BindAddress, cure: str) -> None:
    words = problem(address)
    if words is not None:
        msg = f"HAWSER_BIND {words}"
        raise SettingError(msg)
    if address.path:
        _require_silence(address.path)
        return
    try:
        try_to_listen(address)
    except OSError as error:
        msg = f"Port {address.port} on {address.host} cannot be used ({error.strerror}): {cure}."
        raise CommandError(msg) from None


def _require_silence(path: str) -> None:
    if answers(Path(path)):
        msg = f"The socket {path} is in use: another program listens there."
        raise CommandError(msg)


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
    """Return the first address of `bind` as a browser on this machine calls it."""
    return addresses(bind)[0].url
