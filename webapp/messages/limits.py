"""A statement that must not take long: it is ended, on both databases, when its time is up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError

#: Steps of SQLite's machine between two looks at the clock: some 20 rows, of a megabyte at worst.
_STEPS = 250
#: What PostgreSQL says of a statement that ran out of time.
_QUERY_CANCELED = "57014"


class TooLongError(Exception):
    """A statement was ended because its time was up."""


@contextmanager
def limited(transaction: Transaction, seconds: float) -> Iterator[None]:
    """End a reading statement after `seconds`. Raises TooLongError; the transaction goes on."""
    seconds = max(seconds, 0.001)
    guard = _on_sqlite if transaction.dialect.name == "sqlite" else _on_postgresql
    with guard(transaction, seconds):
        yield


@contextmanager
def _on_sqlite(transaction: Transaction, seconds: float) -> Iterator[None]:
    driver: Any = transaction.connection.driver_connection
    deadline = time.monotonic() + seconds
    driver.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
    try:
        yield
    except OperationalError as error:
        if "interrupted" in str(error.orig):
            raise TooLongError from None
        raise
    finally:
        driver.set_progress_handler(None, 0)


@contextmanager
def _on_postgresql(transaction: Transaction, seconds: float) -> Iterator[None]:
    # Going back to the savepoint also brings back the time limit of before.
    savepoint = transaction.begin_nested()
    try:
        limit = str(max(1, round(seconds * 1000)))
        transaction.execute(select(func.set_config("statement_timeout", limit, True)))
        yield
    except OperationalError as error:
        if getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
            raise TooLongError from None
        raise
    finally:
        savepoint.rollback()
