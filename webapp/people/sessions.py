"""Sessions as rows: the cookie only names one, so that a session can be ended.

A session lives while its row does, its account is active, it was used within the idle
time and is not older than the absolute one. Of the name in the cookie only a hash is
stored: who reads the table cannot sign in with it.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, insert, or_, select, update
from sqlalchemy import Connection as Transaction

from database.clock import database_moment, database_now
from database.models.people import user_session
from webapp.auditing.changes import text
from webapp.settings import WebSettings

#: Random bytes of the name of a session.
TOKEN_BYTES = 32
HOUR = 3600.0
#: How long "stay signed in" lasts, used or not, seconds.
REMEMBERED_S = 30 * 24 * HOUR
#: How exactly the time of last use is known, seconds: a page is read without a write.
SEEN_EVERY_S = 300.0
#: Characters of a browser's name that are kept.
AGENT_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in, as its owner sees it."""

    id: int
    created_at: datetime
    seen_at: datetime
    is_remembered: bool
    address: str | None
    user_agent: str | None


def new_token() -> str:
    """Return the name of a new session."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def fingerprint(token: str) -> str:
    """Return what is stored of the name of a session."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def lives(settings: WebSettings) -> ColumnElement[bool]:
    """Whether a row is a session that has not ended."""
    table = user_session.c
    idle = database_moment(-settings.session_idle_hours * HOUR)
    return (table.expires_at > database_moment()) & or_(table.is_remembered, table.seen_at > idle)


def is_due() -> ColumnElement[bool]:
    """Whether the time of last use should move."""
    return user_session.c.seen_at < database_moment(-SEEN_EVERY_S)


def start(
    transaction: Transaction,
    settings: WebSettings,
    user_id: int,
    *,
    is_remembered: bool = False,
    address: str | None = None,
    user_agent: str | None = None,
) -> str:
    """Write a new session and return its name; rows that have ended go."""
    token = new_token()
    lasts = REMEMBERED_S if is_remembered else settings.session_hours * HOUR
    transaction.execute(delete(user_session).where(~lives(settings)))
    transaction.execute(
        insert(user_session).values(
            user_id=user_id,
            token_hash=fingerprint(token),
            created_at=database_now(),
            seen_at=database_now(),
            expires_at=database_now(lasts),
            is_remembered=is_remembered,
            address=address,
            user_agent=None if user_agent is None else text(user_agent[:AGENT_CHARACTERS]),
        )
    )
    return token


def touch(transaction: Transaction, session_id: int) -> None:
    """Let a session have been used now."""
    which = user_session.c.id == session_id
    transaction.execute(update(user_session).where(which).values(seen_at=database_now()))


def end(transaction: Transaction, session_id: int) -> None:
    """End one session."""
    transaction.execute(delete(user_session).where(user_session.c.id == session_id))


def number(transaction: Transaction, token: str) -> int | None:
    """Return the row that a name stands for, None if it has ended."""
    wanted = select(user_session.c.id).where(user_session.c.token_hash == fingerprint(token))
    found: int | None = transaction.scalar(wanted)
    return found


def end_all(transaction: Transaction, user_id: int, keep: int | None = None) -> int:
    """End the sessions of an account, but for `keep`; return how many there were."""
    wanted = user_session.c.user_id == user_id
    if keep is not None:
        wanted &= user_session.c.id != keep
    return transaction.execute(delete(user_session).where(wanted)).rowcount


def of_account(transaction: Transaction, settings: WebSettings, user_id: int) -> Sequence[Session]:
    """Return the sessions of an account, the one used last first."""
    table = user_session.c
    columns = (
        table.id,
        table.created_at,
        table.seen_at,
        table.is_remembered,
        table.address,
        table.user_agent,
    )
    wanted: Select[Any] = select(*columns).where(table.user_id == user_id, lives(settings))
    rows = transaction.execute(wanted.order_by(table.seen_at.desc(), table.id.desc()))
    return [Session(**row) for row in rows.mappings()]
