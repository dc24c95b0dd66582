"""Keep the timeline short: no event older than a month, no connection with too many."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Engine, Select, Table, delete, func, select
from sqlalchemy.engine import Connection as Transaction

from database.clock import database_moment
from database.models import ConnectionEvent
from database.repetitions import is_repetition
from database.session import immediate
from mqttworker.ports.store.lease_check import check_lease

#: Events older than this are pruned.
KEEP_FOR = timedelta(days=30)
#: Events kept of one connection at most.
KEEP_EACH = 5_000
#: Rows deleted in one transaction.
SLICE = 5_000
#: Ids counted in one statement.
WINDOW = 200_000

_event: Table = ConnectionEvent.__table__  # type: ignore[assignment]


class Pruning:
    """Deletes events, a slice a transaction. Its methods raise LeaseLostError.

    Rows are counted once, when they are new: what is counted already costs nothing, however
    many millions there are. A count may be too high after old rows went; it is corrected
    before anything is deleted by it.
    """

    def __init__(
        self, engine: Engine, boot_id: str, *, keep_each: int = KEEP_EACH, window: int = WINDOW
    ) -> None:
        self._engine = engine
        self._boot_id = boot_id
        self._writer = immediate(engine)
        self._keep_each = keep_each
        self._window = window
        self._counts: dict[int, int] = {}
        self._counted_up_to = 0

    def prune_old(self) -> None:
        """Delete one slice of events that are older than KEEP_FOR."""
        is_old = _event.c.at < database_moment(-KEEP_FOR.total_seconds())
        self._delete(select(_event.c.id).where(is_old).limit(SLICE))

    def prune_surplus(self) -> None:
        """Delete the oldest events of each connection that has too many."""
        self._count_new()
        for connection_id, count in list(self._counts.items()):
            if count > self._keep_each:
                self._counts[connection_id] = self._cut(connection_id)

    def _count_new(self) -> None:
        id_ = _event.c.id
        with self._engine.connect() as transaction:
            newest = transaction.scalar(select(func.max(id_))) or 0
            if not self._counts:
                oldest = transaction.scalar(select(func.min(id_))) or 1
                self._counted_up_to = max(self._counted_up_to, oldest - 1)
            while self._counted_up_to < newest:
                end = min(self._counted_up_to + self._window, newest)
                self._count(transaction, (id_ > self._counted_up_to) & (id_ <= end))
                self._counted_up_to = end

    def _count(self, transaction: Transaction, which: ColumnElement[bool]) -> None:
        owner = _event.c.connection_id
        rows = transaction.execute(select(owner, func.count()).where(which).group_by(owner))
        for connection_id, count in rows:
            self._counts[connection_id] = self._counts.get(connection_id, 0) + count

    def _cut(self, connection_id: int) -> int:
        """Delete what is too much of one connection; return how many events it has now.

        Tries in a row go before what tells when there was a session: a day without a
        broker must not cost the memory of the month.
        """
        own = _event.c.connection_id == connection_id
        with self._engine.connect() as transaction:
            count = transaction.scalar(select(func.count()).where(own)) or 0
        for which in (own & is_repetition(), own):
            count -= self._delete_oldest(which, count - self._keep_each)
        return count

    def _delete_oldest(self, which: ColumnElement[bool], number: int) -> int:
        deleted = 0
        while deleted < number:
            ids = select(_event.c.id).where(which).order_by(_event.c.id)
            found = self._delete(ids.limit(min(SLICE, number - deleted)))
            if not found:
                break
            deleted += found
        return deleted

    def _delete(self, ids: Select[Any]) -> int:
        """Delete the events with these ids; return how many there were."""
        with self._writer.begin() as transaction:
            result: CursorResult[object] = transaction.execute(
                delete(_event).where(_event.c.id.in_(ids))
            )
            check_lease(transaction, self._boot_id)
            return result.rowcount
