"""Ids of messages: of a time, and the newest of a few topics or connections.

Ids grow with the time of receipt, so a time is found by halving, without an index of times.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, bindparam, func, select, text
from sqlalchemy import Connection as Transaction

from database.models import Message
from database.types import UTCDateTime
from webapp.messages import topics

#: Ids follow the times but for messages of one batch that came over different connections.
LATE = timedelta(seconds=10)
_NOTHING = -1
_BEYOND = 2**63 - 1

_HALVES = """
WITH RECURSIVE halves(low, high) AS (
    SELECT CAST(:low AS {integer}), CAST(:high AS {integer})
    UNION ALL
    SELECT
        CASE WHEN {earlier} THEN (low + high) / 2 + 1 ELSE low END,
        CASE WHEN {earlier} THEN high ELSE (low + high) / 2 END
    FROM halves WHERE low < high
) SELECT low FROM halves WHERE low >= high
"""
_EARLIER = (
    "(SELECT received_at FROM message WHERE id <= (low + high) / 2 ORDER BY id DESC LIMIT 1)"
    " < :moment"
)

# SQLite's queue is ordered: as many steps as ids, and one for each key.
_MERGE_SQLITE = """
WITH RECURSIVE best(key, id) AS (
    SELECT value, coalesce((SELECT id FROM message WHERE {key} = value
        AND id >= :low AND id < :high {times} ORDER BY id {order} LIMIT 1), :end)
    FROM json_each(:keys)
    UNION ALL
    SELECT key, coalesce((SELECT id FROM message WHERE {key} = best.key
        AND id >= :low AND id < :high AND id {beyond} best.id {times}
        ORDER BY id {order} LIMIT 1), :end)
    FROM best WHERE id <> :end
    ORDER BY 2 {order} LIMIT :limit
) SELECT id FROM best WHERE id <> :end ORDER BY id {order}
"""
# Of the keys with the best ids, as many as ids are wanted; of each of them the best ids.
_MERGE_POSTGRESQL = """
SELECT found.id FROM (
    SELECT wanted.key, first.id FROM unnest(CAST(:keys AS {type}[])) AS wanted(key),
    LATERAL (SELECT id FROM message WHERE {key} = wanted.key AND id >= :low AND id < :high {times}
        ORDER BY id {order} LIMIT 1) AS first
    ORDER BY first.id {order} LIMIT :limit
) AS best,
LATERAL (SELECT id FROM message WHERE {key} = best.key AND id >= :low AND id < :high {times}
    ORDER BY id {order} LIMIT :limit) AS found
ORDER BY found.id {order} LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Range:
    """Ids from `low` to below `high`, received from `since` to before `until`."""

    low: int
    high: int
    since: datetime | None = None
    until: datetime | None = None

    @property
    def size(self) -> int:
        """How many ids may lie in it."""
        return max(0, self.high - self.low)

    @property
    def is_empty(self) -> bool:
        """Whether no id lies in it."""
        return self.low >= self.high


def all_of(transaction: Transaction) -> Range:
    """Return the range of all that is stored."""
    low, high = transaction.execute(
        select(
            select(func.min(Message.id)).scalar_subquery(),
            select(func.max(Message.id)).scalar_subquery(),
        )
    ).one()
    return Range(0, 0) if low is None else Range(int(low), int(high) + 1)


def first_since(transaction: Transaction, moment: datetime, among: Range) -> int:
    """Return the first id of `among` from which on messages came at or after `moment`."""
    integer = "INTEGER" if transaction.dialect.name == "sqlite" else "BIGINT"
    statement = text(_HALVES.format(earlier=_EARLIER, integer=integer))
    statement = statement.bindparams(bindparam("moment", type_=UTCDateTime()))
    values = {"low": among.low, "high": among.high, "moment": moment}
    return int(transaction.execute(statement, values).scalar_one())


def of_topics(
    transaction: Transaction, found: Sequence[str], among: Range, limit: int, *, newest: bool
) -> list[int]:
    """Return the newest (or oldest) ids of messages on any of the topics."""
    key = topics.key(transaction.dialect.name)
    return _merge(transaction, key, list(found), among, limit, newest)


def of_connections(
    transaction: Transaction, found: Sequence[int], among: Range, limit: int, *, newest: bool
) -> list[int]:
    """Return the newest (or oldest) ids of messages of any of the connections."""
    return _merge(transaction, "connection_id", list(found), among, limit, newest)


def of_all(transaction: Transaction, among: Range, limit: int, *, newest: bool) -> list[int]:
    """Return the newest (or oldest) ids."""
    query = select(Message.id).where(*within(among))
    order = Message.id.desc() if newest else Message.id
    return list(transaction.scalars(query.order_by(order).limit(limit)))


def within(among: Range) -> list[Any]:
    """Return the conditions of a range; its times leave out PostgreSQL's other partitions."""
    found: list[Any] = [Message.id >= among.low, Message.id < among.high]
    if among.since:
        found.append(Message.received_at >= among.since)
    if among.until:
        found.append(Message.received_at < among.until)
    return found


def _merge(
    transaction: Transaction, key: str, keys: list[Any], among: Range, limit: int, newest: bool
) -> list[int]:
    times, bound = _times(among)
    values: dict[str, Any] = {"low": among.low, "high": among.high, "limit": limit}
    order, beyond, end = ("DESC", "<", _NOTHING) if newest else ("ASC", ">", _BEYOND)
    if transaction.dialect.name == "sqlite":
        sql = _MERGE_SQLITE.format(key=key, order=order, beyond=beyond, times=times)
        values |= {"keys": json.dumps(keys), "end": end}
    else:
        kind = "bigint" if key == "connection_id" else "text"
        sql = _MERGE_POSTGRESQL.format(key=key, order=order, type=kind, times=times)
        values["keys"] = keys
    return list(transaction.scalars(text(sql).bindparams(*bound), values))


def _times(among: Range) -> tuple[str, list[BindParameter[Any]]]:
    sql, bound = "", []
    for name, sign in (("since", ">="), ("until", "<")):
        if (moment := getattr(among, name)) is not None:
            sql += f" AND received_at {sign} :{name}"
            bound.append(bindparam(name, moment, type_=UTCDateTime()))
    return sql, bound
