"""Why a database that answers took no change: a full disk, a read-only file, a lock."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from database.sentences import Sentence, say

_FULL = say("there is no room left on the disk of the database, so nothing was changed")
_READ_ONLY = say("the database is read-only and takes no changes")
_HELD = say("another process holds the database; nothing was changed, try again")
#: Primary result codes of SQLite, and SQLSTATEs of PostgreSQL.
_SENTENCES: dict[int | str, Sentence] = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_BUSY: _HELD,
    sqlite3.SQLITE_LOCKED: _HELD,
    "53100": _FULL,
    "25006": _READ_ONLY,
    "55P03": _HELD,
}


def sentence(error: SQLAlchemyError) -> Sentence | None:
    """Return one sentence why a change was refused, None if the error is of another kind."""
    return _SENTENCES.get(_code(error))


def _code(error: SQLAlchemyError) -> int | str:
    cause = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(cause, sqlite3.Error):
        # The upper bits tell more than is needed here.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return str(getattr(cause, "sqlstate", None))
