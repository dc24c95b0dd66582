"""A second user of the machine, who must not read what Hawser keeps."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

#: `nobody` on every Linux.
UID = 65534


def why_not() -> str:
    """Return why nothing can be run as another user here, empty if it can."""
    return "" if os.geteuid() == 0 else "only root can become another user"


def run(command: Sequence[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program as the other user, with nothing in its environment but `variables`."""
    return subprocess.run(
        command,
        user=UID,
        group=UID,
        extra_groups=[],
        env={"PATH": os.environ["PATH"], **variables},
        cwd="/",
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


def readable(directory: Path) -> set[str]:
    """Return the names of the files below `directory` that the other user can read."""
    script = 'find "$1" -type f -readable -printf "%P\\n"'
    found = run(["/bin/sh", "-c", script, "sh", str(directory)])
    return set(found.stdout.splitlines())


@contextmanager
def open_directory() -> Iterator[Path]:
    """Yield a directory that everybody may enter and read, as `mkdir` makes it."""
    path = Path(tempfile.mkdtemp(dir="/var/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)
