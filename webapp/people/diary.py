"""What the audit log tells of sign-ins: who came in, who went, and who was not let in."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import Connection as Transaction
from sqlalchemy.exc import SQLAlchemyError

from webapp.auditing import audit
from webapp.people import tables

log = structlog.get_logger(__name__)
KIND = "account"
#: Characters of an address that was typed, whatever it was.
TYPED_CHARACTERS = 200


def told(transaction: Transaction, action: str, user: Any, **changes: tuple[Any, Any]) -> None:
    """Write what somebody did with their own account, in the transaction of the change."""
    audit.note(
        transaction,
        action,
        kind=KIND,
        number=user.id,
        name=user.email,
        changes=changes,
        actor=user.email,
    )


def refused(typed: str, reason: str) -> None:
    """Write that somebody was not let in; a database that cannot take it changes nothing."""
    name = typed[:TYPED_CHARACTERS]
    try:
        with tables.changing() as transaction:
            audit.note(
                transaction,
                "session.refused",
                kind=KIND,
                name=name,
                changes={"reason": (None, reason)},
            )
    except SQLAlchemyError as error:
        log.warning("a refused sign-in was not written down", kind=type(error).__name__)
