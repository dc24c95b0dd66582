"""Connection records as the web reads and writes them: Core rows, no ORM objects.

Form, bulk actions and import all come through here, so that they check the same things,
move the revision the same way and never read a secret that nobody asked for. What is
written here is in the audit log too, in the same transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import CursorResult, delete, insert, select, update

from database import hosts, pem
from database.models import Command, Connection
from database.words import CommandKind
from webapp import columns
from webapp.auditing import audit, changes
from webapp.auditing.audit import Subject
from webapp.auditing.changes import Changes
from webapp.connections import subscriptions

Values = dict[str, Any]
SECRETS = ("password", "tls_client_key_pem")
#: What decides who can read the secrets that a connection sends.
DESTINATION = ("host", "port", "tls", "tls_verify")
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
MAX_ID = 2**63 - 1
#: Ids in one statement.
CHUNK = 500
#: What the audit log calls them, and what it always tells of a new or a removed one.
KIND = "connection"
_ALWAYS_TOLD = ("site", "host", "port", "client_id")


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
    return {**row._mapping, "subscriptions": subscriptions.of(transaction, record_id)}


def read_flags(record: Values) -> None:
    """Turn the flags of a raw record into booleans, as far as they are flags."""
    for flag in FLAGS:
        if record.get(flag) in (0, 1):
            record[flag] = bool(record[flag])


def read_secrets(transaction: Transaction, record_id: int) -> Values | None:
    """Return the secrets of a record and where they are sent, as of one moment; None if it is gone.

    A secret that no key opens is `columns.UNREADABLE`.
    """
    table = Connection.__table__
    row = transaction.execute(
        select(
            *(columns.raw(table.c[field]) for field in DESTINATION),
            *(columns.secret(table.c[field]) for field in SECRETS),
        ).where(table.c.id == record_id)
    ).first()
    if row is None:
        return None
    found = dict(row._mapping)
    read_flags(found)
    return found


def normalised(values: Mapping[str, Any]) -> Values:
    """Return `values` without stray blanks; blank optional text becomes None.

    Certificates and keys are put right as far as their meaning is certain.
    """
    result = pem.normalized(values)
    for field in _LINES:
        if isinstance(result.get(field), str):
            result[field] = result[field].strip()
    if isinstance(result.get("host"), str):
        result["host"] = hosts.without_brackets(result["host"])
    for field in OPTIONAL:
        if result.get(field) == "":
            result[field] = None
    return result


def create(
    transaction: Transaction,
    values: Mapping[str, Any],
    wanted: Sequence[Values],
    copied_from: str | None = None,
) -> int:
    """Insert a record with its subscriptions and return its id; it may be another's copy."""
    result: CursorResult[Any] = transaction.execute(
        insert(Connection.__table__).values(stored(values))  # type: ignore[arg-type]
    )
    record_id = int(result.inserted_primary_key[0])  # type: ignore[index]
    subscriptions.add(transaction, record_id, wanted)
    made: Changes = told_whole(values, wanted)
    if copied_from is None:
        _note(transaction, "create", record_id, str(values["name"]), made)
    else:
        made = {"copied_from": (None, copied_from), **made}
        _note(transaction, "duplicate", record_id, str(values["name"]), made)
    return record_id


def change(
    transaction: Transaction,
    record_id: int,
    values: Mapping[str, Any],
    wanted: Sequence[Values] | None,
    revision: object = None,
) -> bool:
    """Change the given fields; `wanted` replaces the subscriptions unless it is None.

    What is so already is not written, but for a secret that is given. With a `revision`,
    return False and change nothing if the record has another by now.
    """
    before = _before(transaction, record_id, stored(values))
    if before is None or revision not in (None, before["revision"]):
        return False
    fields = changes.between(before, stored(values))
    topics: Changes = {}
    if wanted is not None:
        topics = changes.of_subscriptions(subscriptions.of(transaction, record_id), wanted)
    if not fields and not topics:
        return True
    new = {field: pair[1] for field, pair in fields.items()}
    transaction.execute(
        update(Connection)
        .where(Connection.id == record_id)
        .values(**new, revision=Connection.revision + 1)
    )
    if topics:
        subscriptions.replace(transaction, record_id, wanted or [])
    _note(transaction, "update", record_id, str(before["name"]), {**fields, **topics})
    return True


def _before(
    transaction: Transaction, record_id: int, fields: Iterable[str]
) -> Mapping[str, Any] | None:
    """Return what a record holds in `fields`; nobody else changes it until the commit."""
    table = Connection.__table__
    wanted = (
        columns.secret(table.c[field]) if field in SECRETS else columns.raw(table.c[field])
        for field in {"name", "revision", *fields}
    )
    query = select(*wanted).where(table.c.id == record_id).with_for_update()
    row = transaction.execute(query).first()
    return None if row is None else dict(row._mapping)


def enable(transaction: Transaction, ids: Iterable[int], enabled: bool) -> int:
    """Enable or disable records; return how many were not so before."""
    changed = [
        Subject(row.id, str(row.name), {"is_enabled": (not enabled, enabled)})
        for chunk in _chunks(ids)
        for row in transaction.execute(
            update(Connection)
            .where(Connection.id.in_(chunk), Connection.is_enabled != enabled)
            .values(is_enabled=enabled, revision=Connection.revision + 1)
            .returning(Connection.id, columns.raw(Connection.name))
        )
    ]
    audit.note_all(transaction, f"{KIND}.{'enable' if enabled else 'disable'}", KIND, changed)
    return len(changed)


def remove(transaction: Transaction, ids: Iterable[int]) -> int:
    """Delete records with their subscriptions; return how many there were.

    Who published what with them is kept.
    """
    removed = 0
    for chunk in _chunks(ids):
        audit.note_all(transaction, f"{KIND}.delete", KIND, list(_leaving(transaction, chunk)))
        published = (Command.connection_id.in_(chunk), Command.kind == CommandKind.PUBLISH)
        transaction.execute(update(Command).where(*published).values(connection_id=None))
        gone = transaction.execute(delete(Connection).where(Connection.id.in_(chunk)))
        removed += gone.rowcount
    return removed


def _leaving(transaction: Transaction, ids: Sequence[int]) -> Iterator[Subject]:
    """Yield what is told of records that are deleted."""
    table = Connection.__table__
    rows = transaction.execute(
        select(
            columns.raw(table.c.id),
            *(columns.raw(table.c[field]) for field in PLAIN_FIELDS),
            *(table.c[field].is_not(None).label(field) for field in SECRETS),
        )
        .where(table.c.id.in_(ids))
        # As commands for them are inserted, so that neither waits for the other.
        .order_by(table.c.id)
        .with_for_update()
    ).all()
    wanted = subscriptions.of_many(transaction, ids)
    for row in rows:
        whole = told_whole(dict(row._mapping), wanted[row.id])
        turned = {field: (new, old) for field, (old, new) in whole.items()}
        yield Subject(row.id, str(row.name), turned)


def told_whole(record: Mapping[str, Any], wanted: Sequence[Values]) -> Changes:
    """Return what the audit log tells of a new record: who it is, and what is no default."""
    given = stored(record)
    known = {field: (None, given[field]) for field in _ALWAYS_TOLD if field in given}
    other = changes.between(defaults(), given)
    told = {field: (None, new) for field, (_, new) in other.items() if field != "name"}
    return {**known, **told, **changes.of_subscriptions([], wanted)}


def _note(transaction: Transaction, verb: str, number: int, name: str, told: Changes) -> None:
    audit.note(transaction, f"{KIND}.{verb}", kind=KIND, number=number, name=name, changes=told)


def names(transaction: Transaction, ids: Iterable[int]) -> dict[int, str]:
    """Return the names of the records among `ids` that exist."""
    return {
        row.id: str(row.name)
        for chunk in _chunks(ids)
        for row in transaction.execute(
            select(Connection.id, columns.raw(Connection.name)).where(Connection.id.in_(chunk))
        )
    }


def name_of(transaction: Transaction, record_id: int | None) -> str | None:
    """Return the name of one record, None for many (no id) or a lost one."""
    if record_id is None:
        return None
    query = select(columns.words(Connection.name)).where(Connection.id == record_id)
    found: str | None = transaction.scalar(query)
    return found


def number_of(transaction: Transaction, name: str) -> int | None:
    """Return the id of the record with `name`, None if there is none."""
    found: int | None = transaction.scalar(select(Connection.id).where(Connection.name == name))
    return found


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
