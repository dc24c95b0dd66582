"""What is measured, and how much of it.

FAULTS_LONG=1 plays the long forms: the same code with larger numbers.
FAULTS_FIGURES=FILE appends each measured figure to a file, one line of JSON each.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

LONG = os.environ.get("FAULTS_LONG", "") not in ("", "0")
_FILE = os.environ.get("FAULTS_FIGURES")


def note(row: str, what: str, value: float, unit: str = "s") -> None:
    """Keep a figure of a row of the fault matrix."""
    if _FILE:
        line = json.dumps({"row": row, "what": what, "value": round(value, 3), "unit": unit})
        with Path(_FILE).open("a", encoding="utf-8") as figures:
            figures.write(line + "\n")
