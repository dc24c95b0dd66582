"""Looking through messages in windows of ids: for what no index knows, for a bounded time.

A window that is quick makes the next one larger. One that is slow, as among messages of a
megabyte, is given up when the time is over, and the next search begins there, small.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy import Connection as Transaction

from database.models import Message
from database.topics import matches
from webapp import columns
from webapp.messages.ids import Range, within
from webapp.messages.limits import TooLongError, limited

#: Ids in the first window, which is always finished: of payloads, and where none is read.
FIRST, FIRST_LIGHT = 16, 1_024
#: A window is at most so many times as wide as the one before.
GROWTH = 16
#: Ids in a window at most.
WIDEST = 4_000_000
#: How long a window should take, seconds.
_PACE = 0.03
#: Topics that are read at once to be compared with a Topic Filter.
_COMPARED = 500


@dataclass(frozen=True, slots=True)
class Scan:
    """What is looked for and where; `found` grows."""

    among: Range
    conditions: Sequence[ColumnElement[bool]]
    #: The Topic Filter that has the last word; blank if the conditions say it all.
    topic_filter: str
    newest: bool
    limit: int
    #: Whether payloads are read.
    is_heavy: bool
    found: list[int] = field(default_factory=list)

    def run(self, transaction: Transaction, deadline: float) -> int | None:
        """Look until the limit, the end or the deadline; return where to go on, None at the end.

        Going on means below this id where the newest come first, else above it.
        """
        first = FIRST if self.is_heavy else FIRST_LIGHT
        left, width = self.among, first
        while not left.is_empty and len(self.found) < self.limit:
            begun, size = time.monotonic(), left.size
            if begun >= deadline and left != self.among:
                return self._edge(left)
            try:
                left = self._window(transaction, left, width, deadline)
            except TooLongError:
                return self._edge(left)
            elapsed = max(time.monotonic() - begun, 1e-6)
            # A window that was full before its end was too wide.
            width = min(width, 2 * (size - left.size))
            width = min(WIDEST, max(first, int(width * min(GROWTH, _PACE / elapsed))))
        return None if left.is_empty else self._edge(left)

    def _edge(self, left: Range) -> int:
        return left.high if self.newest else left.low - 1

    def _window(self, transaction: Transaction, left: Range, width: int, deadline: float) -> Range:
        """Look through up to `width` ids and return what is left."""
        window, rest = self._cut(left, width)
        most = _COMPARED if self.topic_filter else self.limit - len(self.found)
        statement = self._statement(window).limit(most)
        if left == self.among:
            rows: Sequence[Any] = transaction.execute(statement).all()
        else:
            with limited(transaction, deadline - time.monotonic()):
                rows = transaction.execute(statement).all()
        if self.topic_filter:
            self.found.extend(row.id for row in rows if _matches(self.topic_filter, row.topic))
        else:
            self.found.extend(row.id for row in rows)
        return self._behind(left, rows[-1].id) if len(rows) == most else rest

    def _statement(self, window: Range) -> Select[Any]:
        chosen: list[Any] = [Message.id]
        if self.topic_filter:
            chosen.append(columns.words(Message.topic))
        query = select(*chosen).where(*within(window), *self.conditions)
        return query.order_by(Message.id.desc() if self.newest else Message.id)

    def _cut(self, left: Range, width: int) -> tuple[Range, Range]:
        if self.newest:
            edge = max(left.low, left.high - width)
            return replace(left, low=edge), replace(left, high=edge)
        edge = min(left.high, left.low + width)
        return replace(left, high=edge), replace(left, low=edge)

    def _behind(self, left: Range, last: int) -> Range:
        return replace(left, high=last) if self.newest else replace(left, low=last + 1)


def _matches(topic_filter: str, topic: str | None) -> bool:
    return topic is not None and matches(topic_filter, topic)
