"""How the database is: which one, how large, and how fast it answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection as Transaction
from sqlalchemy import text

from database import config_version
from webapp import store
from webapp.picture import remembered

#: Seconds for which the figures are kept: they are not worth a look each second.
GOOD_FOR = 30.0
_SIZES = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
    "postgresql": "SELECT pg_database_size(current_database())",
}
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The database as a page finds it."""

    name: str
    version: str
    #: Bytes, without what is being written.
    size: int
    #: How long a short question took, milliseconds.
    answer_ms: float


def of_app() -> DatabaseFacts:
    """Return how the database of the current application is. Raises SQLAlchemyError."""
    made = remembered.of_app("hawser-database", 1)
    found: DatabaseFacts = made.of("facts", (time.monotonic() // GOOD_FOR,), _read)
    return found


def _read() -> DatabaseFacts:
    with store.reading() as transaction:
        return read(transaction)


def read(transaction: Transaction) -> DatabaseFacts:
    """Return how the database behind `transaction` is."""
    kind = transaction.dialect.name
    ask = partial(config_version.read, transaction)
    ask()
    began = time.perf_counter()
    ask()
    took = (time.perf_counter() - began) * 1000
    version = ".".join(map(str, transaction.dialect.server_version_info or ()))
    size = transaction.scalar(text(_SIZES[kind])) or 0
    return DatabaseFacts(_NAMES[kind], version, int(size), took)
