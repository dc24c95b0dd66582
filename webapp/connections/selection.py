"""The connections that a question to the operator named, as its form carries them. Pure.

`1-60,62`: an action on all that match takes these, not what happens to match when it comes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

#: More than any page names: a short text must not become a long list.
MOST = 100_000
_LIST = re.compile(r"\d{1,19}(?:-\d{1,19})?(?:,\d{1,19}(?:-\d{1,19})?)*", re.ASCII)


def pack(ids: Iterable[int]) -> str:
    """Return ids as text, those that follow each other as a range."""
    ranges: list[list[int]] = []
    for number in sorted(ids):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in ranges)


def unpack(text: str) -> list[int]:
    """Return the ids in a text of `pack`, none if it is not one or names too many."""
    if not _LIST.fullmatch(text):
        return []
    pairs = [tuple(map(int, item.split("-"))) for item in text.split(",")]
    if sum(max(pair[-1] - pair[0], 0) + 1 for pair in pairs) > MOST:
        return []
    return [number for pair in pairs for number in range(pair[0], pair[-1] + 1)]
