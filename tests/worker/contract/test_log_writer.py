"""A log that nobody reads holds nothing up, and says afterwards what it left out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINES = 30_000

WRITER = f"""
import logging, sys, time
from database import logs
from mqttworker.__main__ import leave
from mqttworker.adapters import log_writer
logs.configure("INFO", "json")
log_writer.install()
log = logging.getLogger("hawser")
for number in range({LINES}):
    log.info("line %d", number)
sys.stderr.write("all said\\n")
sys.stderr.flush()
sys.stdin.readline()
log.info("the last line")
leave(0)
"""


def test_a_log_that_nobody_reads_holds_nothing_up() -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", WRITER],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        # The pipe took 64 KiB of its output; the process is here nevertheless.
        assert process.stderr.readline() == "all said\n"
        seen: list[str] = []
        while "were dropped" not in (seen or [""])[-1]:
            seen.append(process.stdout.readline())
        process.stdin.write("\n")
        process.stdin.flush()
        rest = process.stdout.readlines()
        assert process.wait(10) == 0
        assert process.stderr.read() == ""
    dropped = int(seen[-1].split('"event": "')[1].split()[0])
    assert dropped + len(seen) - 1 == LINES
    assert "the last line" in rest[-1]
