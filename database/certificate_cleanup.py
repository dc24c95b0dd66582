"""Removing private keys from where older versions kept them in clear: what a migration does once.

Certificate columns are written anew, entries of the audit log only where a key stands in them.
What cannot be read and can hold no key stays as it is.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection as Transaction

from database import encryption, pem, pem_blocks, pem_contents
from database.certificate_chain import public_key
from database.pem_contents import key_text

#: Rows that are read at a time.
BATCH = 500
#: What a key without its lines looks like, in base64 or hexadecimal digits, and no word does.
_CODE = re.compile(r"[\w+/]{24}", re.ASCII)
#: Columns as they are in the schema of that migration, never decrypted.
_connection = sa.table(
    "connection",
    sa.column("id", sa.BigInteger),
    sa.column("name", sa.Text),
    *(sa.column(name, sa.Text) for name in pem.FIELDS),
)
_entry = sa.table("audit_entry", sa.column("id", sa.BigInteger), sa.column("changes", sa.JSON))
_version = sa.table("config_version", sa.column("version", sa.BigInteger))
_logger = logging.getLogger(__name__)


def clean_connections(transaction: Transaction) -> None:
    """Leave only certificates in the certificate columns; a key goes to its own if it fits."""
    changed, with_keys = 0, []
    texts = sa.or_(*(_connection.c[name].is_not(None) for name in pem.PUBLIC_FIELDS))
    for row in _rows(transaction, _connection, ("name", *pem.FIELDS), texts):
        new = _cleaned(row)
        if new:
            update = sa.update(_connection).where(_connection.c.id == row["id"])
            transaction.execute(update.values(**new))
            changed += 1
        if any(pem_contents.read(row[name]).has_key for name in pem.PUBLIC_FIELDS):
            with_keys.append(row["name"])
    if changed:
        # Running workers and pages look again.
        transaction.execute(sa.update(_version).values(version=_version.c.version + 1))
    if with_keys:
        _logger.warning(
            "private keys stood in clear in certificate fields, renew them: %s",
            ", ".join(map(str, with_keys)),
        )


def clean_audit_log(transaction: Transaction) -> None:
    """Remove private keys from what the audit log tells of certificates."""
    told = sa.cast(_entry.c.changes, sa.Text)
    about = sa.or_(*(told.contains(name, autoescape=True) for name in pem.PUBLIC_FIELDS))
    for row in _rows(transaction, _entry, ("changes",), about):
        try:
            changes = json.loads(row["changes"])
        except ValueError:
            continue
        if isinstance(changes, dict) and (new := _without_keys(changes)) != changes:
            update = sa.update(_entry).where(_entry.c.id == row["id"])
            transaction.execute(update.values(changes=new))


def _rows(
    transaction: Transaction, table: sa.TableClause, names: tuple[str, ...], where: Any
) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of a table as text, a batch in memory at a time."""
    last = 0
    columns = (_as_text(transaction, table.c[name]).label(name) for name in names)
    query = sa.select(table.c.id, *columns).where(where).order_by(table.c.id).limit(BATCH)
    while rows := transaction.execute(query.where(table.c.id > last)).all():
        for row in rows:
            yield {name: _decoded(value) for name, value in row._mapping.items()}
        last = rows[-1].id


def _as_text(transaction: Transaction, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    # SQLite may hold bytes that are no text.
    is_sqlite = transaction.dialect.name == "sqlite"
    return sa.cast(column, sa.LargeBinary if is_sqlite else sa.Text)


def _decoded(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _cleaned(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns that are to be written anew."""
    new: dict[str, Any] = {}
    for name in pem.PUBLIC_FIELDS:
        held = pem_contents.read(row[name])
        if _may_hold_key(row[name]) or (held.certificates and not held.certificate_flaw):
            new[name] = pem.shown(row[name])
    key = None if row[pem.KEY] else _own_key(row[pem.CERTIFICATE])
    if key is not None:
        try:
            new[pem.KEY] = encryption.encrypt(key)
        except RuntimeError:
            # Without HAWSER_ENCRYPTION_KEYS the only copy of a key stays where it is.
            new.pop(pem.CERTIFICATE)
    return {name: value for name, value in new.items() if value != row[name]}


def _own_key(text: object) -> str | None:
    """Return the private key of one of the certificates beside it."""
    held = pem_contents.read(text)
    if held.key is None:
        return None
    keys = {public_key(each) for each in held.certificates}
    return key_text(held.key) if public_key(held.key) in keys else None


def _without_keys(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: [_told(each) for each in pair]
        if name in pem.PUBLIC_FIELDS and isinstance(pair, list)
        else pair
        for name, pair in changes.items()
    }


def _told(value: Any) -> Any:
    """Return a told value as it is, or what may be seen of it if there may be a key in it."""
    text = value.get("cut") if isinstance(value, Mapping) else value
    return pem.shown(text) if _may_hold_key(text) else value


def _may_hold_key(text: object) -> bool:
    """Whether there is a private key, or what may be one without the lines that name it."""
    return pem_contents.read(text).has_key or bool(_CODE.search(pem_blocks.beside(text)))
