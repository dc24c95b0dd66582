"""The transitions that uptime is reckoned from, by connection.

Repetitions are left out: a connection that fails every few seconds must not cost more than
one that works.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, union_all
from sqlalchemy import Connection as Transaction

from database.models import Connection, ConnectionEvent
from database.repetitions import is_repetition
from webapp import columns
from webapp.connections import records
from webapp.past import timeline
from webapp.past.uptime import Mark

#: Connections whose transitions are kept in memory at most.
KEPT = 2_000
#: How long one look waits for another before it reads by itself, seconds.
PATIENCE_S = 0.2
#: New events after which everything is read afresh instead.
CAUGHT_UP = 20_000

_event = ConnectionEvent
_WORDS = ("state", "previous_state", "reason_code", "origin")

Marks = defaultdict[int, list[Mark]]


class Recent:
    """The transitions of the last day: read once a connection, then only what is new."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._known: Marks = defaultdict(list)
        self._read_up_to = 0

    def of(self, transaction: Transaction, ids: Sequence[int], start: datetime) -> Marks:
        """Return the transitions of each connection since `start` and the last one before."""
        if not self._lock.acquire(timeout=PATIENCE_S):
            # Somebody's look takes long: whoever waited for it would take as long.
            return read(transaction, ids, start)
        try:
            self._catch_up(transaction, start)
            missing = [number for number in ids if number not in self._known]
            if missing:
                # What comes meanwhile is for the next time: else it would be there twice.
                found = read(transaction, missing, start, self._read_up_to)
                self._known.update({number: found[number] for number in missing})
            return defaultdict(list, {number: self._trim(number, start) for number in ids})
        finally:
            self._lock.release()

    def _catch_up(self, transaction: Transaction, start: datetime) -> None:
        newest = transaction.scalar(select(func.max(_event.id))) or 0
        if len(self._known) > KEPT or newest - self._read_up_to > CAUGHT_UP:
            self._known.clear()
        elif self._known and newest > self._read_up_to:
            between = (_event.id > self._read_up_to) & (_event.id <= newest)
            rows = transaction.execute(_select(between, ~is_repetition()))
            for number, new in _by_connection(rows).items():
                if number in self._known:
                    self._known[number] += new
                    # Nobody may ask for this one any more, and its list must not grow for ever.
                    self._trim(number, start)
        self._read_up_to = newest

    def _trim(self, number: int, start: datetime) -> list[Mark]:
        found = self._known[number]
        while len(found) > 1 and found[1].at <= start:
            del found[0]
        return list(found)


def read(
    transaction: Transaction, ids: Sequence[int], start: datetime, newest: int = records.MAX_ID
) -> Marks:
    """Return the transitions since `start` and the last one before, in order: one statement.

    Events with ids above `newest` are left out.
    """
    if not ids:
        return defaultdict(list)
    first = timeline.first_since(start - timedelta(seconds=timeline.LATE))
    first_id = func.coalesce(first, literal(records.MAX_ID))
    mine = _event.connection_id.in_(ids)
    since = _select(mine, _event.id.between(first_id, newest), ~is_repetition())
    before = _select(_event.id.in_(_last_before(first_id, ids)), _event.id <= newest)
    return _by_connection(transaction.execute(union_all(since, before)))


def _last_before(first_id: ColumnElement[Any], ids: Sequence[int]) -> Select[Any]:
    """Select the last event of each connection before `first_id`: a look at the index each."""
    last = select(func.max(_event.id)).where(
        _event.connection_id == Connection.id, _event.id < first_id
    )
    return select(last.correlate(Connection).scalar_subquery()).where(Connection.id.in_(ids))


def _select(*which: ColumnElement[bool]) -> Select[Any]:
    ids = (columns.raw(_event.id), columns.raw(_event.connection_id))
    words = (columns.words(getattr(_event, name)) for name in _WORDS)
    return select(*ids, *words, columns.time(_event.at)).where(*which)


def _by_connection(rows: Iterable[Any]) -> Marks:
    found: Marks = defaultdict(list)
    for row in sorted(rows, key=lambda row: int(row.id)):
        if row.at is not None:
            words = (row.state, row.previous_state, row.reason_code, row.origin)
            found[row.connection_id].append(Mark(row.at, *words))
    return found
