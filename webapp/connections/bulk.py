"""Writing thousands of connection records in a few statements, as a file asks for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import bindparam, insert, select, update

from database.models import Connection, Subscription
from webapp import columns
from webapp.auditing import audit, changes
from webapp.auditing.audit import Subject
from webapp.auditing.changes import Changes
from webapp.connections import records, subscriptions


def create(
    transaction: Transaction, new: Sequence[tuple[records.Values, Sequence[records.Values]]]
) -> None:
    """Insert records, each given whole with its subscriptions."""
    if not new:
        return
    transaction.execute(
        insert(Connection.__table__),  # type: ignore[arg-type]
        [records.stored(values) for values, _ in new],
    )
    names = {values["name"] for values, _ in new}
    rows = transaction.execute(select(Connection.id, columns.raw(Connection.name)))
    ids = {row.name: row.id for row in rows if row.name in names}
    wanted = [
        subscriptions.as_row(ids[values["name"]], item) for values, items in new for item in items
    ]
    if wanted:
        transaction.execute(insert(Subscription.__table__), wanted)  # type: ignore[arg-type]
    made = (
        Subject(ids[values["name"]], values["name"], records.told_whole(values, items))
        for values, items in new
    )
    audit.note_all(transaction, f"{records.KIND}.create", records.KIND, made)


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that is there, as nobody else changes it meanwhile, and what of it is to change."""

    number: int
    stored: Mapping[str, Any]
    values: Mapping[str, Any]
    #: The whole set, None where it stays.
    subscriptions: Sequence[records.Values] | None


def change(transaction: Transaction, differences: Sequence[Difference]) -> None:
    """Change many records in a few statements; each difference is one."""
    told = [_told(each) for each in differences]
    for fields, group in groupby(sorted(differences, key=_fields), key=_fields):
        bound: dict[str, Any] = {field: bindparam(f"new_{field}") for field in fields}
        statement = update(Connection.__table__).where(  # type: ignore[arg-type]
            Connection.id == bindparam("number")
        )
        rows = [
            {f"new_{field}": value for field, value in records.stored(each.values).items()}
            | {"number": each.number}
            for each in group
        ]
        transaction.execute(statement.values(**bound, revision=Connection.revision + 1), rows)
    subscriptions.replace_all(
        transaction,
        [
            (each.number, each.stored["subscriptions"], each.subscriptions)
            for each in differences
            if each.subscriptions is not None
        ],
    )
    audit.note_all(transaction, f"{records.KIND}.update", records.KIND, told)


def _fields(difference: Difference) -> list[str]:
    return sorted(records.stored(difference.values))


def _told(difference: Difference) -> Subject:
    before = difference.stored
    topics: Changes = {}
    if difference.subscriptions is not None:
        topics = changes.of_subscriptions(before["subscriptions"], difference.subscriptions)
    fields = changes.between(before, records.stored(difference.values))
    return Subject(difference.number, str(before["name"]), {**fields, **topics})
