"""INSERT ... ON CONFLICT, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction


def upsert_statement(dialect: str, table: Table) -> Any:
    """Return an INSERT that can be told what to do on a conflict."""
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


def upsert(
    transaction: Transaction,
    table: Table,
    rows: list[dict[str, Any]],
    merged: Callable[[Any], dict[str, Any]] = lambda new: {},
) -> None:
    """Insert `rows`, all with the same columns, or overwrite those with the same key.

    `merged` is called once with the new columns and returns those that depend on the old ones, too.
    """
    statement = upsert_statement(transaction.dialect.name, table)
    keys = [column.name for column in table.primary_key]
    new = statement.excluded
    others = {name: new[name] for name in rows[0] if name not in keys} | merged(new)
    transaction.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)
