"""Where the files of the tests lie: in memory where the machine has room, else on its disk.

Most of what a suite with hundreds of databases waits for on a disk is the making of files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")
#: Free bytes that it needs: a run takes about a tenth. A container often has 64 MB.
ENOUGH = 1 << 30


def use_memory() -> None:
    """Let temporary files of this process and its children lie in memory, if nobody chose."""
    if "TMPDIR" not in os.environ and has_room(MEMORY):
        os.environ["TMPDIR"] = str(MEMORY)
        # Somebody may have asked already, and the answer is kept.
        tempfile.tempdir = None


def has_room(directory: Path) -> bool:
    """Return whether tests can write their files there and run programs from there."""
    try:
        forbidden = os.statvfs(directory).f_flag & (os.ST_NOEXEC | os.ST_RDONLY)
        return not forbidden and shutil.disk_usage(directory).free >= ENOUGH
    except OSError:
        return False
