"""`python -m tests.faults.jumping_worker FILE`: the worker with a wall clock that jumps.

The file says by how many seconds its clock is wrong. Monotonic time goes on, as it does
when the clock of a machine is set.
"""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import time_machine

from mqttworker.__main__ import leave, main

LOOK_INTERVAL = 0.05  # seconds


def follow(file: Path) -> None:
    """Set the clock whenever the file has changed."""
    told, traveller = "0", None
    while True:
        time.sleep(LOOK_INTERVAL)
        if (text := file.read_text(encoding="ascii")) in (told, ""):
            continue
        if traveller is not None:
            traveller.stop()
        told = text
        traveller = time_machine.travel(datetime.now(UTC) + timedelta(seconds=int(told)), tick=True)
        traveller.start()


if __name__ == "__main__":
    threading.Thread(target=follow, args=(Path(sys.argv[1]),), daemon=True).start()
    leave(main())
