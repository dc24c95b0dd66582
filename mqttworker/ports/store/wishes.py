"""Read what operators want: the schema's state, the config version, the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from operator import itemgetter
from typing import Any

from sqlalchemy import Engine, Table, select, type_coerce
from sqlalchemy.types import NullType

from database import config_version, encryption, readiness
from database.models import Connection, ConnectionStatus, Subscription
from mqttworker.core import fallback, records
from mqttworker.core.fallback import Fallback
from mqttworker.core.spec import Record

_connection: Table = Connection.__table__  # type: ignore[assignment]
_subscription: Table = Subscription.__table__  # type: ignore[assignment]
_status: Table = ConnectionStatus.__table__  # type: ignore[assignment]

_RawRow = tuple[Any, ...]
#: The columns of `connection` that say what a connection is. An edit of the others is an edit
#: too, but thousands of them need no parsing, which would slow the hub down.
_telling = itemgetter(
    *(
        place
        for place, column in enumerate(_connection.c)
        if column.name not in {"notes", "revision", "created_at", "updated_at"}
    )
)


class Wishes:
    """The tables that the web writes."""

    def __init__(self, engine: Engine, hostname: str) -> None:
        self._engine = engine
        self._hostname = hostname
        self._parsed: dict[int, tuple[tuple[_RawRow, ...], Record]] = {}

    def schema_problem(self) -> str | None:
        """Say in one sentence why the database cannot be used yet, or None."""
        return readiness.problem(self._engine, in_own_words=True)

    def config_version(self) -> int:
        """Return the number that moves with every wish."""
        with self._engine.connect() as transaction:
            return config_version.read(transaction)

    def load_records(self) -> dict[int, Record]:
        """Return all enabled connections by id, the unusable ones with their flaw.

        A row that says what it said at the last call is not parsed again.
        """
        with self._engine.connect() as transaction:
            rows = transaction.execute(_raw(_connection).where(_connection.c.is_enabled)).all()
            related = transaction.execute(_raw(_subscription).order_by(_subscription.c.id)).all()
        subscriptions = defaultdict(list)
        for item in related:
            subscriptions[item.connection_id].append(item)
        before, self._parsed = self._parsed, {}
        for row in rows:
            own = subscriptions[row.id]
            raw = (_telling(row), *map(tuple, own))
            known = before.get(row.id)
            record = (
                records.with_revision(known[1], row.revision)
                if known and known[0] == raw
                else self._parse(row, own)
            )
            self._parsed[row.id] = (raw, record)
        return records.without_rivals(record for _, record in self._parsed.values())

    def load_fallbacks(self) -> dict[int, Fallback]:
        """Return the brokers that want MQTT 3.1.1, by connection, as an earlier worker saw them."""
        query = select(_status.c.connection_id, _status.c.version_fallback)
        with self._engine.connect() as transaction:
            rows = transaction.execute(query.where(_status.c.version_fallback.is_not(None))).all()
        known = {row.connection_id: fallback.from_json(row.version_fallback) for row in rows}
        return {key: value for key, value in known.items() if value is not None}

    def _parse(self, row: Any, subscriptions: Iterable[Any]) -> Record:
        return records.parse(
            row._mapping,
            [item._mapping for item in subscriptions],
            hostname=self._hostname,
            decrypt=encryption.decrypt,
        )


def _raw(table: Table) -> Any:
    """Select every column as the driver gives it: no conversion can fail on bad values."""
    return select(*(type_coerce(column, NullType()).label(column.name) for column in table.c))
