"""Whether a database that can be read lets nobody write: then a silent worker may be well."""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection as Transaction
from sqlalchemy import text

#: How long another writer may hold SQLite's lock before that counts, seconds.
PATIENCE = 0.2
_WAITS = text(
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
    " AND wait_event_type = 'Lock' AND query LIKE '%worker\\_%')"
)


def is_locked(transaction: Transaction) -> bool:
    """Return whether writes of a worker wait for a lock, beside the read of `transaction`."""
    if transaction.dialect.name == "postgresql":
        return bool(transaction.scalar(_WAITS))
    path = transaction.engine.url.database
    if not path:
        return False
    other = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    finally:
        other.close()
    return False
