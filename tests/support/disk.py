"""A small disk: a file system in memory that can be filled to the last byte; needs root."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

#: Written at once while it is filled; the last pieces are smaller.
_PIECES = (65_536, 4_096, 1)


class SmallDisk:
    """A file system of `size` bytes, mounted at `path` while the context lasts.

    It belongs to `owner`, by default to whoever makes it.
    """

    def __init__(self, path: Path, size: int, owner: str | None = None) -> None:
        self.path = path
        self._size = size
        self._owner = owner
        self._filler = path / "filler"

    def __enter__(self) -> Self:
        self.path.mkdir(parents=True)
        _run("mount", "-t", "tmpfs", "-o", f"size={self._size},mode=755", "none", str(self.path))
        if self._owner is not None:
            shutil.chown(self.path, self._owner, self._owner)
        return self

    def __exit__(self, *_: object) -> None:
        # Lazily: a process that ends a moment later may have files open.
        _run("umount", "--lazy", str(self.path))

    def fill(self) -> None:
        """Leave not a byte free."""
        with self._filler.open("ab", buffering=0) as filler:
            for piece in _PIECES:
                try:
                    while True:
                        filler.write(bytes(piece))
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise

    def free(self) -> None:
        """Give back what `fill` took."""
        self._filler.unlink()

    def protect(self) -> None:
        """Take no writes; nothing may be open for writing."""
        _run("mount", "-o", "remount,ro", str(self.path))

    def open_up(self) -> None:
        """Take writes again."""
        _run("mount", "-o", "remount,rw", str(self.path))


@contextmanager
def frozen(*files: Path) -> Iterator[None]:
    """Let nobody write to `files`, not even who has them open. Raises OSError where it cannot be.

    Not every file system can: ext4 can, one in memory cannot.
    """
    names = [str(file) for file in files]
    _run("chattr", "+i", *names)
    try:
        yield
    finally:
        _run("chattr", "-i", *names)


def why_not() -> str | None:
    """Say why no file system can be mounted here, None if it can."""
    if os.geteuid() != 0:
        return "mounting a file system needs root"
    with tempfile.TemporaryDirectory() as directory:
        try:
            with SmallDisk(Path(directory) / "disk", 65_536):
                return None
        except OSError as error:
            return f"no file system can be mounted here ({error})"


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(done.stderr.strip() or f"{' '.join(words)} failed")
