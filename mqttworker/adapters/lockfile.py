"""A lock file: whoever holds it knows that the process that held it before is dead."""

from __future__ import annotations

import fcntl
import os
import secrets
from contextlib import suppress
from pathlib import Path


class LockFile:
    """An advisory lock on a local file, released by the kernel when the process ends.

    The file holds a random token that names it, so that two processes can tell whether
    they mean the same file, also across containers.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd: int | None = None
        #: Names the file; None until the lock was acquired.
        self.token: str | None = None

    def acquire(self) -> bool:
        """Return whether the lock is held, trying to take it if it is not. Never blocks."""
        if self._fd is not None:
            return True
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            # No writable place: the lease alone decides, a little more slowly.
            return False
        with suppress(OSError):
            os.fchmod(fd, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(fd)
            return False
        self._fd = fd
        self.token = self._read_token(fd)
        return True

    def release(self) -> None:
        """Unlock."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @staticmethod
    def _read_token(fd: int) -> str:
        token = os.pread(fd, 64, 0).decode("ascii", "replace").strip()
        if not token:
            token = secrets.token_hex(16)
            os.pwrite(fd, token.encode("ascii"), 0)
        return token
