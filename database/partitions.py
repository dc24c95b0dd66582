"""Names of the partitions that PostgreSQL keeps messages in: one a UTC day of receipt.

A name says which day it holds, so nobody has to read bounds. SQLite has no partitions.
"""

from __future__ import annotations

import re
from datetime import date, timedelta

#: Takes what belongs to no other partition.
DEFAULT = "message_default"

_NAME = re.compile(r"message_(until_)?y(\d{4,})m(\d\d)d(\d\d)")


def name_of(day: date) -> str:
    """Return the name of the partition of `day`."""
    return f"message_y{day.year:04}m{day.month:02}d{day.day:02}"


def end_of(name: str) -> date | None:
    """Return the first day that is too late for a partition; None for one without an end.

    `message_until_...` holds everything before its day: what was stored before there were
    partitions.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    day = date(int(found[2]), int(found[3]), int(found[4]))
    return day if found[1] else day + timedelta(days=1)


def is_partition(name: str | None) -> bool:
    """Whether `name` is that of a partition, which models know nothing of."""
    return name == DEFAULT or (name is not None and _NAME.fullmatch(name) is not None)
