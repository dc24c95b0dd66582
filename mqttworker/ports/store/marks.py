"""A batch that is tried again takes effect once, whatever was heard of its COMMIT."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Table
from sqlalchemy.engine import Connection as Transaction

from database.clock import database_now
from mqttworker.ports.store.upsert import upsert_statement


def claim(transaction: Transaction, mark: Table, key: Mapping[str, str], batch: int) -> bool:
    """Mark `batch` as written; return False if it is, by a COMMIT not heard of.

    `key` names the row of `mark`; its batches are numbered from 1 up and come in order. Waits
    for a transaction that is about to say the same, and whose client gave it up.
    """
    row = {"batch": batch, "at": database_now()}
    statement = upsert_statement(transaction.dialect.name, mark).values(**key, **row)
    statement = statement.on_conflict_do_update(
        index_elements=list(key), set_=row, where=mark.c.batch < batch
    )
    return transaction.execute(statement.returning(mark.c.batch)).first() is not None
