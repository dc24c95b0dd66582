"""Programs whose standard input, output or error is closed, full or read by nobody."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ENCRYPTION_KEY

ROOT = Path(__file__).parents[2]
SHELL = "/bin/sh"
EXPORT = "-m webapp connections export"


def run(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run `python command` in a shell, which closes and leads streams as `command` says."""
    return subprocess.run(
        [SHELL, "-c", f"exec {sys.executable} {command}"],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HAWSER_HOME": str(home),
            "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_set_up_needs_no_stream_at_all(home: Path) -> None:
    assert run(home, "-m webapp setup <&- >&- 2>&-").returncode == 0
    assert (home / "hawser.db").read_bytes().startswith(b"SQLite format 3")
    done = run(home, "-m webapp setup 2>&1 >&-")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("streams", [">&-", "<&- >&-", "2>&-", "<&-"])
def test_a_command_with_closed_streams_says_what_it_can(home: Path, streams: str) -> None:
    done = run(home, f"manage.py new-key {streams}")
    assert done.returncode == 0
    assert done.stderr == ""
    assert re.fullmatch("" if ">&-" in streams.split() else r"\S{44}\n", done.stdout)


def test_an_output_that_takes_nothing_is_one_sentence(home: Path) -> None:
    done = run(home, "manage.py new-key > /dev/full")
    assert done.returncode == 1
    assert done.stderr == ("hawser: standard output cannot be written (No space left on device)\n")


@pytest.mark.parametrize("command", ["manage.py --help", "-m webapp new-key", "manage.py new-key"])
def test_a_reader_that_leaves_is_no_error(home: Path, command: str) -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, *command.split()],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "HAWSER_HOME": str(home)},
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_export_that_fails_says_so_and_nothing_of_changes(home: Path) -> None:
    assert run(home, "-m webapp setup").returncode == 0
    done = run(home, f"manage.py connections export {home}")
    assert done.stderr == f"hawser: {home}: Is a directory\nhawser: the export failed\n"
    done = run(home, "manage.py connections export - >&-")
    assert done.stderr == (
        "hawser: standard output is closed; name a file to write to\nhawser: the export failed\n"
    )
    assert done.returncode == 1
