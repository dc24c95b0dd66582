"""Connection records as the web reads and writes them: Core rows, no ORM objects.

Form, bulk actions and import all come through here, so that they check the same things,
move the revision the same way and never read a secret that nobody asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import CursorResult, delete, insert, select, update

from database.encryption import UndecryptableError
from database.models import Command, Connection, Subscription
from database.words import CommandKind
from webapp import columns

Values = dict[str, Any]
SECRETS = ("password", "tls_client_key_pem")
#: Set by the product, never by a form or a file.
OWN_COLUMNS = ("id", "revision", "created_at", "updated_at")
#: Columns in which blank text means none.
OPTIONAL = ("username", "password", "tls_ca_pem", "tls_client_cert_pem", "tls_client_key_pem")
_LINES = ("name", "site", "host", "client_id", "status_topic")
FLAGS = ("is_enabled", "clean_session", "tls", "tls_verify", "status_retain", "announce_who")
#: What a form or a file may set, in the order of the table; secrets last.
FIELDS = tuple(
    column.key for column in Connection.__table__.columns if column.key not in OWN_COLUMNS
)
PLAIN_FIELDS = tuple(field for field in FIELDS if field not in SECRETS)
SUBSCRIPTION_FIELDS = ("topic_filter", "qos", "is_enabled", "expected_every_s")
MAX_ID = 2**63 - 1
#: Ids in one statement.
CHUNK = 500


def defaults() -> Values:
    """Return the values of a new record before anybody has entered anything."""
    table = Connection.__table__
    found = {field: table.columns[field].default for field in FIELDS}
    return {
        field: getattr(default, "arg", None) if default is not None else None
        for field, default in found.items()
    }


def identifier(text: object) -> int | None:
    """Return `text` as the id of a row, or None if it cannot be one."""
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 19:
        return None
    number = int(text)
    return number if 0 < number <= MAX_ID else None


def load(transaction: Transaction, record_id: int) -> Values | None:
    """Return a record without its secrets, whatever it holds; None if there is none.

    Beside the columns: `has_password`, `has_client_key` and `subscriptions`.
    """
    row = transaction.execute(
        select(
            *(columns.raw(getattr(Connection, field)) for field in PLAIN_FIELDS),
            columns.raw(Connection.id),
            columns.raw(Connection.revision),
            columns.time(Connection.created_at),
            columns.time(Connection.updated_at),
            Connection.__table__.c.password.is_not(None).label("has_password"),
            Connection.__table__.c.tls_client_key_pem.is_not(None).label("has_client_key"),
        ).where(Connection.id == record_id)
    ).first()
    if row is None:
        return None
    return {**row._mapping, "subscriptions": subscriptions(transaction, record_id)}


def subscriptions(transaction: Transaction, record_id: int) -> list[Values]:
    """Return the subscriptions of a record in the order they were added."""
    rows = transaction.execute(
        select(*(columns.raw(getattr(Subscription, key)) for key in SUBSCRIPTION_FIELDS))
        .where(Subscription.connection_id == record_id)
        .order_by(Subscription.id)
    )
    return [dict(row._mapping) for row in rows]


def all_subscriptions(transaction: Transaction) -> list[tuple[int, Values]]:
    """Return (connection id, subscription) of all records."""
    rows = transaction.execute(
        select(
            Subscription.connection_id,
            *(columns.raw(getattr(Subscription, key)) for key in SUBSCRIPTION_FIELDS),
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


def read_flags(record: Values) -> None:
    """Turn the flags of a raw record into booleans, as far as they are flags."""
    for flag in FLAGS:
        if record[flag] in (0, 1):
            record[flag] = bool(record[flag])


def secret(transaction: Transaction, record_id: int, field: str) -> str | None:
    """Return a stored secret, None if there is none or no key opens it."""
    column = Connection.__table__.columns[field]
    try:
        found: str | None = transaction.scalar(select(column).where(Connection.id == record_id))
    except UndecryptableError:
        return None
    return found


def normalised(values: Mapping[str, Any]) -> Values:
    """Return `values` without stray blanks; blank optional text becomes None."""
    result = dict(values)
    for field in _LINES:
        if isinstance(result.get(field), str):
            result[field] = result[field].strip()
    for field in OPTIONAL:
        if result.get(field) == "":
            result[field] = None
    return result


def create(transaction: Transaction, values: Mapping[str, Any], wanted: Sequence[Values]) -> int:
    """Insert a record with its subscriptions and return its id."""
    result: CursorResult[Any] = transaction.execute(
        insert(Connection.__table__).values(stored(values))  # type: ignore[arg-type]
    )
    record_id = int(result.inserted_primary_key[0])  # type: ignore[index]
    _insert_subscriptions(transaction, record_id, wanted)
    return record_id


def change(
    transaction: Transaction,
    record_id: int,
    values: Mapping[str, Any],
    wanted: Sequence[Values] | None,
    revision: object = None,
) -> bool:
    """Change the given fields; `wanted` replaces the subscriptions unless it is None.

    With a `revision`, return False and change nothing if the record has another by now.
    """
    statement = update(Connection).where(Connection.id == record_id)
    if revision is not None:
        statement = statement.where(Connection.revision == revision)
    result = transaction.execute(
        statement.values(**stored(values), revision=Connection.revision + 1)
    )
    if result.rowcount != 1:
        return False
    if wanted is not None:
        _change_subscriptions(transaction, record_id, wanted)
    return True


def enable(transaction: Transaction, ids: Iterable[int], enabled: bool) -> int:
    """Enable or disable records; return how many were not so before."""
    return sum(
        transaction.execute(
            update(Connection)
            .where(Connection.id.in_(chunk), Connection.is_enabled != enabled)
            .values(is_enabled=enabled, revision=Connection.revision + 1)
        ).rowcount
        for chunk in _chunks(ids)
    )


def remove(transaction: Transaction, ids: Iterable[int]) -> int:
    """Delete records with their subscriptions; return how many there were.

    Who published what with them is kept.
    """
    found = list(ids)
    for chunk in _chunks(found):
        published = (Command.connection_id.in_(chunk), Command.kind == CommandKind.PUBLISH)
        transaction.execute(update(Command).where(*published).values(connection_id=None))
    return sum(
        transaction.execute(delete(Connection).where(Connection.id.in_(chunk))).rowcount
        for chunk in _chunks(found)
    )


def names(transaction: Transaction, ids: Iterable[int]) -> dict[int, str]:
    """Return the names of the records among `ids` that exist."""
    return {
        row.id: str(row.name)
        for chunk in _chunks(ids)
        for row in transaction.execute(
            select(Connection.id, columns.raw(Connection.name)).where(Connection.id.in_(chunk))
        )
    }


def disabled(transaction: Transaction, ids: Iterable[int]) -> set[int]:
    """Return which of the records `ids` are disabled."""
    return {
        number
        for chunk in _chunks(ids)
        for number in transaction.scalars(
            select(Connection.id).where(Connection.id.in_(chunk), ~Connection.is_enabled)
        )
    }


def _chunks(ids: Iterable[int]) -> Iterable[list[int]]:
    found = list(ids)
    return (found[start : start + CHUNK] for start in range(0, len(found), CHUNK))


def stored(values: Mapping[str, Any]) -> Values:
    """Return what of `values` goes into the table, flags as booleans."""
    return {
        field: bool(value) if field in FLAGS else value
        for field, value in values.items()
        if field in FIELDS
    }


def _insert_subscriptions(
    transaction: Transaction, record_id: int, wanted: Sequence[Values]
) -> None:
    if wanted:
        transaction.execute(
            insert(Subscription), [subscription(record_id, item) for item in wanted]
        )


def _change_subscriptions(
    transaction: Transaction, record_id: int, wanted: Sequence[Values]
) -> None:
    """Make the subscriptions what is wanted; a Topic Filter that stays keeps its row.

    What is known of a row (`subscription_status`) goes by its id: ids must neither change
    without need nor come back for another filter, so what is new is added before the rest goes.
    """
    mine = select(Subscription.id, columns.raw(Subscription.topic_filter))
    mine = mine.where(Subscription.connection_id == record_id).order_by(Subscription.id.desc())
    rows = transaction.execute(mine).all()
    kept = {row.topic_filter: row.id for row in rows}
    new = [item for item in wanted if item["topic_filter"] not in kept]
    _insert_subscriptions(transaction, record_id, new)
    for item in wanted:
        if (number := kept.get(item["topic_filter"])) is not None:
            changes = subscription(record_id, item)
            transaction.execute(
                update(Subscription).where(Subscription.id == number).values(changes)
            )
    staying = {kept.get(item["topic_filter"]) for item in wanted}
    gone = [row.id for row in rows if row.id not in staying]
    transaction.execute(delete(Subscription).where(Subscription.id.in_(gone)))


def subscription(record_id: int, item: Mapping[str, Any]) -> Values:
    """Return the row of one subscription."""
    return {
        "connection_id": record_id,
        "topic_filter": item["topic_filter"],
        "qos": item["qos"],
        "is_enabled": bool(item.get("is_enabled", True)),
        "expected_every_s": item.get("expected_every_s", 0),
    }
