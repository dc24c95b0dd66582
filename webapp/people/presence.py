"""Who a request comes from: the account behind the session that its cookie names."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from flask import Flask, abort, current_app, g, request, session
from flask_security import current_user
from flask_security.utils import set_request_attr
from sqlalchemy import Connection as Transaction
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from database.models.people import user_session
from webapp import store
from webapp.people import accounts, sessions, tables
from webapp.people.accounts import User
from webapp.store import db

log = structlog.get_logger(__name__)
#: Where the cookie holds the name of the session.
KEY = "session"
#: How long pages do not try again to write when a session was used, seconds.
AGAIN_AFTER = 30.0
#: What open pages and programs ask for by themselves: it is no sign that somebody is there.
POLLS = frozenset(
    {
        "admin.live",
        "connections.live_view",
        "messages.live",
        "commands.answer_view",
        "commands.page_view",
        "health.health",
    }
)


def configure(app: Flask) -> None:
    """Let nothing but a living session say who somebody is: no token, no second cookie."""
    app.config["PERMANENT_SESSION_LIFETIME"] = int(sessions.REMEMBERED_S)
    app.extensions["hawser-seen"] = _Clock()
    manager: Any = app.login_manager  # type: ignore[attr-defined]
    manager.user_loader(_load)
    manager.request_loader(lambda _request: None)


def has_ended() -> bool:
    """Whether the browser still names a session, of which nothing is left; say so once only."""
    return not current_user.is_authenticated and session.pop(KEY, None) is not None


def current() -> int | None:
    """Return the number of the session of this request."""
    found: int | None = g.get("hawser_session")
    return found


@contextmanager
def changing(*others: int) -> Iterator[Transaction]:
    """A write transaction of who is signed in, on their own account or on `others`.

    Nobody changes these meanwhile. Ends with 401 where the session ended a moment ago.
    """
    with tables.changing() as transaction:
        insist(transaction, *others)
        yield transaction


def insist(transaction: Transaction, *others: int) -> None:
    """Go on only while this session lives: what ends it may have come in between."""
    tables.hold(transaction, current_user.id, *others)
    if sessions.number(transaction, session.get(KEY, "")) is None:
        abort(401)


def _load(key: str) -> User | None:
    token = session.get(KEY)
    if not isinstance(token, str):
        return None
    # In a session of its own: that of the request would hold its connection until the answer is
    # made, beside the one that the page uses.
    with Session(store.engine()) as reader:
        row = reader.execute(_wanted(token)).unique().one_or_none()
    if row is None or row.User.fs_uniquifier != key or not row.User.active:
        return None
    g.hawser_session = row.id
    # Its pages ask how somebody came in.
    set_request_attr("fs_authn_via", "session")
    if row.due and request.endpoint not in POLLS:
        _touch(row.id)
    user: User = db.session.merge(row.User, load=False)
    return user


def _wanted(token: str) -> Any:
    due = sessions.is_due().label("due")
    living = sessions.lives(accounts.settings_of_app())
    found = select(User, user_session.c.id, due).join(
        user_session, user_session.c.user_id == User.__table__.c.id
    )
    return found.where(user_session.c.token_hash == sessions.fingerprint(token), living)


class _Clock:
    """When this application writes such a time again after it could not."""

    next_at = 0.0


def _touch(number: int) -> None:
    """Move the time of last use; a page does not fail because that could not be written."""
    clock: _Clock = current_app.extensions["hawser-seen"]
    if time.monotonic() < clock.next_at:
        return
    try:
        with tables.changing() as transaction:
            sessions.touch(transaction, number)
    except SQLAlchemyError as error:
        clock.next_at = time.monotonic() + AGAIN_AFTER
        log.warning("the use of a session was not written down", kind=type(error).__name__)
