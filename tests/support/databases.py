"""Fresh databases, empty or migrated to head, on both kinds of server."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pytest

from database import migrate
from database.session import make_engine
from tests.support.postgresql import PostgreSQL

#: For tests of what does not depend on the kind of database.
ONE_DATABASE = pytest.mark.parametrize("databases", ["sqlite"], indirect=True)


class Databases(Protocol):
    """One kind of database server. Each `with` block gets a database of its own."""

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Yield the address of a database without tables."""
        ...

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """Yield the address of a database at head."""
        ...


class SQLiteDatabases:
    """Files in a directory; the migrated ones are copies of one that was migrated once."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._numbers = itertools.count(1)
        self._template = directory / "template.db"
        upgrade(sqlite_url(self._template))

    @contextmanager
    def empty(self) -> Iterator[str]:
        path = self._next()
        # Only the set-up makes the file of a database.
        path.touch(mode=0o600)
        yield sqlite_url(path)

    @contextmanager
    def migrated(self) -> Iterator[str]:
        path = self._next()
        shutil.copyfile(self._template, path)
        yield sqlite_url(path)

    def _next(self) -> Path:
        return self._directory / f"test-{next(self._numbers)}.db"


class PostgreSQLDatabases:
    """Databases of one private server; the migrated ones are copies made by the server."""

    def __init__(self, server: PostgreSQL) -> None:
        self._server = server
        self._template = server.create()
        upgrade(server.url(self._template))

    @contextmanager
    def empty(self) -> Iterator[str]:
        with self._copy_of("template0") as url:
            yield url

    @contextmanager
    def migrated(self) -> Iterator[str]:
        with self._copy_of(self._template) as url:
            yield url

    @contextmanager
    def _copy_of(self, template: str) -> Iterator[str]:
        name = self._server.create(template)
        yield self._server.url(name)
        self._server.drop(name)


def sqlite_url(path: Path) -> str:
    """Return the address of an SQLite file for SQLAlchemy."""
    return f"sqlite:///{path}"


def upgrade(url: str, revision: str = "head") -> None:
    """Bring the database at `url` to head, or up to an older revision."""
    engine = make_engine(url)
    try:
        migrate.upgrade(engine, revision)
    finally:
        engine.dispose()
