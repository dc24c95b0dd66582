"""Engines on an SQLite file that a test harms, and the least that one can do with them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, text

from database.session import immediate, make_engine
from tests.support.databases import sqlite_url

VERSION = text("SELECT version FROM config_version")
CHANGE = text("UPDATE config_version SET version = version + 1")


@contextmanager
def engine_at(path: Path) -> Iterator[Engine]:
    """Yield an engine on a file, which may be missing."""
    made = make_engine(sqlite_url(path))
    yield made
    made.dispose()


def read(engine: Engine) -> int:
    """Return the number that `change` raises."""
    with engine.connect() as transaction:
        return int(transaction.scalar(VERSION) or 0)


def change(engine: Engine) -> None:
    """Commit a change."""
    with immediate(engine).begin() as transaction:
        transaction.execute(CHANGE)
