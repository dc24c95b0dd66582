"""How many messages are kept, and how many bytes, of each connection and in each partition.

Rows are counted once, when they are new; what is removed is taken off. A worker counts
anew when it starts, when the database failed it, and once in RECOUNT seconds, as others
may remove rows too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Any

from sqlalchemy import Engine, Table, Text, cast, delete, func, select

from database.clock import database_now
from database.models import Message, MessageTotals
from database.session import immediate
from mqttworker.ports.store.lease_check import check_lease
from mqttworker.ports.store.retention_slices import Row, piece, size
from mqttworker.ports.store.upsert import upsert

#: Rows counted in one statement, and connections whose oldest message is looked up at once.
WINDOW, LOOKED_UP = 20_000, 50
#: Seconds after which everything is counted anew.
RECOUNT = 86_400.0

_message: Table = Message.__table__  # type: ignore[assignment]
_totals: Table = MessageTotals.__table__  # type: ignore[assignment]


@dataclass(slots=True)
class Count:
    """Messages, and bytes of topics and payloads."""

    messages: int = 0
    bytes: int = 0


class Tally:
    """The counts of one worker process, and the table `message_totals`, which tells them."""

    def __init__(self, engine: Engine, boot_id: str, *, window: int = WINDOW) -> None:
        self._engine = engine
        self._boot_id = boot_id
        self._window = window
        self.forget()

    def forget(self) -> None:
        """Count everything anew."""
        self._pieces: dict[int, dict[int, Count]] = {}
        self._oldest: dict[int, datetime | None] = {}
        self._counted_to = -(2**63)
        self._since = monotonic()
        #: Whether every message was counted that was there when counting began.
        self.is_complete = False

    # --- what is counted

    def by_connection(self) -> dict[int, Count]:
        """Return what is kept of each connection."""
        counts: dict[int, Count] = {}
        for piece_counts in self._pieces.values():
            for connection_id, count in piece_counts.items():
                _add(counts, connection_id, count.messages, count.bytes)
        return {key: count for key, count in counts.items() if count.messages > 0}

    def bytes_in(self, piece_oid: int) -> int:
        """Return what a partition holds."""
        return sum(count.bytes for count in self._pieces.get(piece_oid, {}).values())

    @property
    def bytes(self) -> int:
        """Return what all messages take together."""
        return sum(map(self.bytes_in, self._pieces))

    def oldest(self, connection_id: int) -> datetime | None:
        """Return when the oldest message of a connection came, None if that is not known."""
        return self._oldest.get(connection_id)

    # --- counting

    def count(self) -> Iterator[float]:
        """Count what is new; yields the seconds of each statement. Raises SQLAlchemyError."""
        if monotonic() - self._since > RECOUNT:
            self.forget()
        number = self._window
        while number >= self._window:
            started = monotonic()
            number = self._count_window()
            yield monotonic() - started
        self.is_complete = True

    def _count_window(self) -> int:
        """Count the next rows by id; return how many there were."""
        own = _message.c
        columns = (own.id, own.connection_id, piece(self._engine), size(self._engine, own))
        new = select(*columns).where(own.id > self._counted_to)
        rows = new.order_by(own.id).limit(self._window).subquery().c
        grouped = (rows.piece, rows.connection_id)
        totals = (func.count(), func.sum(rows.size), func.max(rows.id))
        with self._engine.connect() as transaction:
            found = transaction.execute(select(*grouped, *totals).group_by(*grouped)).all()
        for oid, connection_id, messages, octets, last in found:
            _add(self._pieces.setdefault(oid, {}), connection_id, messages, int(octets))
            self._counted_to = max(self._counted_to, last)
        return sum(row[2] for row in found)

    # --- what was removed

    def removed(self, rows: Sequence[Row], number: int) -> None:
        """Take off `rows`, of which the database removed `number`."""
        if number != len(rows):
            # Somebody else removes rows too.
            self.forget()
            return
        for row in rows:
            if row.id <= self._counted_to:
                _add(self._pieces.setdefault(row.piece, {}), row.connection_id, -1, -row.size)
            self._oldest.pop(row.connection_id, None)

    def dropped(self, piece_oid: int) -> None:
        """Take off a whole partition."""
        for connection_id in self._pieces.pop(piece_oid, {}):
            self._oldest.pop(connection_id, None)

    # --- telling

    def find_oldest(self) -> Iterator[float]:
        """Look up the oldest messages that are not known yet; yields seconds."""
        unknown = [key for key in self.by_connection() if key not in self._oldest]
        for start in range(0, len(unknown), LOOKED_UP):
            started = monotonic()
            with self._engine.connect() as transaction:
                for connection_id in unknown[start : start + LOOKED_UP]:
                    self._look_up(transaction, connection_id)
            yield monotonic() - started

    def _look_up(self, transaction: Any, connection_id: int) -> None:
        own = _message.c
        # As text: plain SQL can leave a moment there that Python has no word for.
        oldest = select(cast(own.received_at, Text)).where(own.connection_id == connection_id)
        found = transaction.execute(oldest.order_by(own.id).limit(1)).first()
        if found is None:
            # Somebody else removed them.
            for counts in self._pieces.values():
                counts.pop(connection_id, None)
        else:
            self._oldest[connection_id] = _moment(found[0])

    def write(self) -> None:
        """Put down what is kept. Raises SQLAlchemyError, LeaseLostError."""
        with immediate(self._engine).begin() as transaction:
            at = transaction.execute(database_now().select()).scalar_one()
            rows = [
                {
                    "connection_id": connection_id,
                    "messages": count.messages,
                    "bytes": count.bytes,
                    "oldest_at": self._oldest.get(connection_id),
                    "counted_at": at,
                }
                for connection_id, count in self.by_connection().items()
            ]
            if rows:
                upsert(transaction, _totals, rows)
            transaction.execute(delete(_totals).where(_totals.c.counted_at != at))
            # Last: whoever waits for a slow table must not keep the lease from being renewed.
            check_lease(transaction, self._boot_id)


def _add(counts: dict[int, Count], connection_id: int, messages: int, octets: int) -> None:
    count = counts.setdefault(connection_id, Count())
    count.messages += messages
    count.bytes += octets


def _moment(value: Any) -> datetime | None:
    """Return the moment that a database writes as `value`, None if it is none."""
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
