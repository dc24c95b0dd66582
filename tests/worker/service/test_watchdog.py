"""A process whose hub hangs ends itself; one whose hub turns does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]

HANG = """
import time, gevent
from mqttworker.adapters.watchdog import FreezeWatchdog
def hang_here():
    time.sleep(30)
FreezeWatchdog(limit=0.5).pat()
gevent.spawn(hang_here).join()
"""

TURN = """
import gevent
from mqttworker.adapters.watchdog import FreezeWatchdog
watchdog = FreezeWatchdog(limit=1.0)
for _ in range(15):
    watchdog.pat()
    gevent.sleep(0.1)
watchdog.send_away()
gevent.sleep(1.2)
"""

#: As after a freeze in which the watchdog's thread stood still too: the hub goes on first.
LATE = """
import faulthandler, time
from mqttworker.adapters.watchdog import FreezeWatchdog
watchdog = FreezeWatchdog(limit=0.2)
watchdog.pat()
faulthandler.cancel_dump_traceback_later()
time.sleep(0.3)
watchdog.pat()
print("went on")
"""


def _run(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )


def test_a_hub_that_hangs_ends_the_process_and_shows_where() -> None:
    ended = _run(HANG)
    assert ended.returncode == 1
    assert "hang_here" in ended.stderr


def test_a_hub_that_turns_is_left_alone() -> None:
    ended = _run(TURN)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_pat_that_comes_too_late_ends_the_process_before_it_does_anything_else() -> None:
    ended = _run(LATE)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert "the worker was frozen for 0." in ended.stderr
    assert ended.stderr.count("most recent call first") == 1
