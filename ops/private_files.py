"""Rights of what the commands write: the owner's only, unless it belongs to the checkout."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path

#: Nobody but the owner reads, writes or enters.
PRIVATE = 0o077
#: What Hawser keeps in its data directory. An older version may have left it readable.
NAMES = (
    *("hawser.db*", "secret-key", "encryption-keys", "admin-password", "demo-broker-password"),
    *("sample-offered", "worker.lock", "supervisord.pid", "supervisor.sock*", "pulse.sock"),
    *("mqttworker-orphan.log", "supervisord.log*", "*-stdout---supervisor-*.log*"),
    "*-stderr---supervisor-*.log*",
)

#: What the user's shell set, for files of the checkout.
_usual = PRIVATE


def keep_new_files_private() -> None:
    """Make files of this process and its children readable by their owner only."""
    global _usual  # noqa: PLW0603 - the mask is one of the process
    _usual = os.umask(PRIVATE)


@contextlib.contextmanager
def usual_umask() -> Iterator[None]:
    """Make files as the user's shell says: others may use the packages and the sources."""
    before = os.umask(_usual)
    try:
        yield
    finally:
        os.umask(before)


def make_private(home: Path) -> None:
    """Take the rights of others off what Hawser keeps in `home`, whatever those of `home` are."""
    for pattern in NAMES:
        for path in home.glob(pattern):
            with contextlib.suppress(OSError):
                _take_rights_of_others(path)


def _take_rights_of_others(path: Path) -> None:
    found = path.lstat()
    is_ours = stat.S_ISREG(found.st_mode) or stat.S_ISSOCK(found.st_mode)
    if is_ours and found.st_uid == os.geteuid() and found.st_mode & PRIVATE:
        path.chmod(stat.S_IMODE(found.st_mode) & ~PRIVATE)
