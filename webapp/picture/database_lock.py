"""Whether a database that can be read lets nobody write: then a silent worker may be well."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import Connection as Transaction
from sqlalchemy import text

from database.session import is_immediate

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
    if not path or is_immediate(transaction) or not Path(f"{path}-wal").exists():
        # The lock is ours, or nobody writes; a look must not begin a log beside a removed one.
        return False
    try:
        other = sqlite3.connect(
            f"file:{quote(path)}?mode=rw", PATIENCE, isolation_level=None, uri=True
        )
    except sqlite3.OperationalError:
        return False
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    finally:
        other.close()
    return False
