"""Transactions on accounts and sessions: no wishes, so the worker is not told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection as Transaction
from sqlalchemy import select

from database.models import people
from database.session import immediate
from webapp import store
from webapp.store import db


@contextmanager
def changing() -> Iterator[Transaction]:
    """One write transaction, apart from what the request has read so far."""
    with immediate(store.engine()).begin() as transaction:
        yield transaction


def begin_writing() -> Transaction:
    """Begin the ORM session of this request anew, with SQLite's write lock.

    A transaction that has read cannot turn into a writing one while another process writes.
    """
    db.session.commit()
    found: Transaction = db.session.connection(
        execution_options={"sqlite_begin": "BEGIN IMMEDIATE"}
    )
    return found


def hold(transaction: Transaction, *numbers: int) -> None:
    """Let nobody else change these accounts until the transaction ends; then read them."""
    which = select(people.user.c.id).where(people.user.c.id.in_(numbers))
    # All take them in one order, so that no two wait for each other.
    transaction.execute(which.order_by(people.user.c.id).with_for_update()).all()
