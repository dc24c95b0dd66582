"""The subscriptions of records as the web reads and writes them: Core rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import bindparam, delete, insert, select, update

from database.models import Subscription
from webapp import columns

Values = dict[str, Any]
#: What a form or a file may set.
FIELDS = ("topic_filter", "qos", "is_enabled", "expected_every_s")


def of(transaction: Transaction, record_id: int) -> list[Values]:
    """Return the subscriptions of a record in the order they were added."""
    rows = transaction.execute(
        select(*(columns.raw(getattr(Subscription, key)) for key in FIELDS))
        .where(Subscription.connection_id == record_id)
        .order_by(Subscription.id)
    )
    return [dict(row._mapping) for row in rows]


def of_many(transaction: Transaction, ids: Sequence[int]) -> dict[int, list[Values]]:
    """Return the subscriptions of each of `ids`, few enough for one statement."""
    found: dict[int, list[Values]] = {number: [] for number in ids}
    rows = transaction.execute(
        select(
            Subscription.connection_id,
            *(columns.raw(getattr(Subscription, key)) for key in FIELDS),
        )
        .where(Subscription.connection_id.in_(ids))
        .order_by(Subscription.id)
    )
    for row in rows:
        found[row.connection_id].append({key: getattr(row, key) for key in FIELDS})
    return found


def of_all(transaction: Transaction) -> list[tuple[int, Values]]:
    """Return (connection id, subscription) of all records."""
    rows = transaction.execute(
        select(
            Subscription.connection_id,
            *(columns.raw(getattr(Subscription, key)) for key in FIELDS),
        ).order_by(Subscription.id)
    )
    return [
        (
            row.connection_id,
            {
                "topic_filter": row.topic_filter,
                "qos": row.qos,
                "is_enabled": bool(row.is_enabled),
                "expected_every_s": row.expected_every_s,
            },
        )
        for row in rows
    ]


def add(transaction: Transaction, record_id: int, wanted: Sequence[Values]) -> None:
    """Insert subscriptions of a record."""
    if wanted:
        transaction.execute(insert(Subscription), [as_row(record_id, item) for item in wanted])


def replace(transaction: Transaction, record_id: int, wanted: Sequence[Values]) -> None:
    """Make the subscriptions what is wanted; a Topic Filter that stays keeps its row.

    What is known of a row (`subscription_status`) goes by its id: ids must neither change
    without need nor come back for another filter, so what is new is added before the rest goes.
    """
    mine = select(Subscription.id, columns.raw(Subscription.topic_filter))
    mine = mine.where(Subscription.connection_id == record_id).order_by(Subscription.id.desc())
    rows = transaction.execute(mine).all()
    kept = {row.topic_filter: row.id for row in rows}
    new = [item for item in wanted if item["topic_filter"] not in kept]
    add(transaction, record_id, new)
    for item in wanted:
        if (number := kept.get(item["topic_filter"])) is not None:
            changes = as_row(record_id, item)
            transaction.execute(
                update(Subscription).where(Subscription.id == number).values(changes)
            )
    staying = {kept.get(item["topic_filter"]) for item in wanted}
    gone = [row.id for row in rows if row.id not in staying]
    transaction.execute(delete(Subscription).where(Subscription.id.in_(gone)))


def replace_all(
    transaction: Transaction, sets: Sequence[tuple[int, Sequence[Values], Sequence[Values]]]
) -> None:
    """Make many sets what is wanted: (record, what is there, what is wanted), as `replace`."""
    new, changed, gone = [], [], []
    for record_id, there, wanted in sets:
        before = {item["topic_filter"]: item for item in there}
        after = {item["topic_filter"]: item for item in wanted}
        if len(before) < len(there):
            # Plain SQL has left a Topic Filter twice.
            replace(transaction, record_id, wanted)
            continue
        new += [as_row(record_id, after[key]) for key in after if key not in before]
        changed += [
            _bound(as_row(record_id, after[key]))
            for key in after
            if key in before and as_row(record_id, after[key]) != as_row(record_id, before[key])
        ]
        gone += [_bound(as_row(record_id, before[key])) for key in before if key not in after]
    _execute(transaction, insert(Subscription), new)
    table = Subscription.__table__
    mine = (table.c.connection_id == bindparam("record"), table.c.topic_filter == bindparam("key"))
    values: Values = {name: bindparam(f"new_{name}") for name in FIELDS[1:]}
    _execute(transaction, update(table).where(*mine).values(values), changed)  # type: ignore[arg-type]
    _execute(transaction, delete(table).where(*mine), gone)  # type: ignore[arg-type]


def _bound(row: Values) -> Values:
    found = {f"new_{name}": row[name] for name in FIELDS[1:]}
    return found | {"record": row["connection_id"], "key": row["topic_filter"]}


def _execute(transaction: Transaction, statement: Any, rows: Sequence[Values]) -> None:
    if rows:
        transaction.execute(statement, rows)


def as_row(record_id: int, item: Mapping[str, Any]) -> Values:
    """Return the row of one subscription."""
    return {
        "connection_id": record_id,
        "topic_filter": item["topic_filter"],
        "qos": item["qos"],
        "is_enabled": bool(item.get("is_enabled", True)),
        "expected_every_s": item.get("expected_every_s", 0),
    }
