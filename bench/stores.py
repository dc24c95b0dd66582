"""Databases at head for the benchmarks: an SQLite file, or one of a private PostgreSQL server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import ColumnElement, Engine, func, select

from bench.payloads import Tally
from bench.postgresql import PostgreSQL, executable
from database import encryption, migrate
from database.models import Message
from database.session import make_engine

KINDS = ("sqlite", "postgresql")
#: Rows that are fetched at once.
SLICE = 10_000


@dataclass(frozen=True, slots=True)
class Store:
    """One database."""

    url: str
    engine: Engine
    #: What encrypts its secrets.
    key: str
    #: The server, where there is one.
    server: PostgreSQL | None = None

    def newest(self) -> int:
        """Return the highest id of a message, 0 without any: cheap, however many there are."""
        with self.engine.connect() as transaction:
            return transaction.scalar(select(func.max(Message.id))) or 0

    def count(self, prefix: str) -> int:
        """Return how many messages are stored whose topic begins with `prefix`."""
        query = select(func.count(Message.id)).where(_below(prefix))
        with self.engine.connect() as transaction:
            return transaction.scalar(query) or 0

    def tally(self, prefix: str) -> Tally:
        """Read every message whose topic begins with `prefix`."""
        found = Tally()
        chosen = select(Message.payload).where(_below(prefix))
        query = chosen.execution_options(yield_per=SLICE)
        with self.engine.connect() as transaction:
            for part in transaction.scalars(query).partitions():
                found.add(part)
        return found


def why_not(kind: str) -> str | None:
    """Say why there can be no database of this kind, None if there can."""
    if kind == "postgresql" and executable("initdb") is None:
        return "PostgreSQL is not installed (Debian: postgresql)"
    return None


def _below(prefix: str) -> ColumnElement[bool]:
    return Message.topic.startswith(prefix, autoescape=True)


@contextmanager
def opened(kind: str, directory: Path) -> Iterator[Store]:
    """Yield a new database; a server of its own is started and removed."""
    if kind == "sqlite":
        with _migrated(f"sqlite:///{directory / 'hawser.db'}", None) as store:
            yield store
        return
    server = PostgreSQL()
    try:
        server.start()
        with _migrated(server.url(server.create()), server) as store:
            yield store
    finally:
        server.remove()


@contextmanager
def _migrated(url: str, server: PostgreSQL | None) -> Iterator[Store]:
    key = encryption.new_key()
    encryption.configure([key])
    engine = make_engine(url, statement_timeout_s=60.0)
    try:
        migrate.upgrade(engine)
        yield Store(url, engine, key, server)
    finally:
        engine.dispose()
