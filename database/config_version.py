"""The one row that tells the worker that a wish changed."""

from __future__ import annotations

from sqlalchemy import event, select, update
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.orm import Session, sessionmaker

from database.clock import database_now
from database.models import Command, ConfigVersion, Connection, Subscription


def bump(session: Session) -> None:
    """Move the version on, in the transaction of `session`.

    Sessions watched by `follow` do this by themselves; bulk updates must call it.
    """
    session.execute(update(ConfigVersion).values(version=ConfigVersion.version + 1))


def read(transaction: Transaction) -> int:
    """Return the version."""
    return transaction.execute(select(ConfigVersion.version)).scalar_one()


def follow(sessions: sessionmaker[Session] | type[Session]) -> None:
    """Bump with every wish that one of `sessions` flushes, in the same transaction."""
    event.listen(sessions, "before_flush", _before_flush)


def _before_flush(session: Session, _context: object, _instances: object) -> None:
    changed = [*session.new, *session.deleted, *filter(session.is_modified, session.dirty)]
    wishes = [row for row in changed if isinstance(row, Connection | Subscription | Command)]
    for row in wishes:
        # A subscription that was taken off its record has none; the record itself is in the list.
        record = row.connection if isinstance(row, Subscription) else row
        if isinstance(record, Connection):
            _touch(session, record)
    if wishes:
        bump(session)


def _touch(session: Session, connection: Connection) -> None:
    """Move the revision of a record whose subscriptions changed: to it they are one wish."""
    if connection not in session.deleted and connection not in session.new:
        connection.updated_at = database_now()
