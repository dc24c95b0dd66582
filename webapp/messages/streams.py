"""Messages and payloads a piece at a time, each read in a short transaction of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Engine

from webapp import store
from webapp.messages import rows
from webapp.messages.asking import Filter
from webapp.messages.rows import Row
from webapp.messages.search import Place, search

#: Messages that are looked for at a time, and for how long before it goes on, seconds.
SLICE, BUDGET = 1_000, 1.0


def slices(engine: Engine, wanted: Filter, most: int) -> Iterator[Sequence[Row]]:
    """Yield what is wanted, whole, newest first, up to `most` messages.

    Between two parts no transaction is open: a browser may take its time.
    """
    left, place = most, Place()
    while left:
        with store.reading(engine) as transaction:
            found = search(transaction, wanted, place, min(left, SLICE), BUDGET)
            parts = rows.in_parts(transaction, found.ids)
        for part in parts:
            with store.reading(engine) as transaction:
                read = rows.whole(transaction, part)
            yield read
        left -= len(found.ids)
        if found.rest is None:
            return
        place = Place(before=found.rest, lists_topics=not found.too_many_topics)


def payload(engine: Engine, table: Any, number: int, size: int) -> Iterator[bytes]:
    """Yield a payload of `size` bytes in pieces that fit into memory."""
    for start in range(0, size, rows.PART_BYTES):
        with store.reading(engine) as transaction:
            piece = rows.part(transaction, table, number, start, rows.PART_BYTES)
        yield piece or b""
