"""What people changed: one entry a change, written in the change's own transaction.

Of a secret an entry tells that it changed, never what it was.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from flask import current_app, has_app_context, has_request_context, request
from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, delete, insert, select

from database.clock import database_moment, database_now
from database.models import audit_entry
from database.session import immediate
from webapp.auditing import changes
from webapp.auditing.changes import Changes
from webapp.people import accounts
from webapp.settings import WebSettings

#: Who acts outside of a request, and in a request without a session.
COMMAND_LINE, NOBODY = "command line", "anonymous"
#: Entries that are removed at once, and how often that is looked after, seconds.
PORTION, FORGET_EVERY = 500, 3600.0
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Subject:
    """What was changed, and how."""

    number: int | None
    name: str | None
    changes: Changes = field(default_factory=dict)


def note(
    transaction: Transaction,
    action: str,
    *,
    kind: str,
    number: int | None = None,
    name: str | None = None,
    changes: Changes | None = None,
    actor: str | None = None,
) -> None:
    """Write one entry: who did `action` (`connection.update`) to which subject, old and new.

    `actor` is the signed-in account, or the command line outside of a request.
    """
    note_all(transaction, action, kind, [Subject(number, name, changes or {})], actor)


def note_all(
    transaction: Transaction,
    action: str,
    kind: str,
    subjects: Iterable[Subject],
    actor: str | None = None,
) -> None:
    """Write one entry for each of `subjects`, to all of which the same was done."""
    common = {
        "at": database_now(),
        "actor": changes.text(actor or _actor()),
        "address": request.remote_addr if has_request_context() else None,
        "action": action,
        "subject_kind": kind,
    }
    rows = [_row(subject) for subject in subjects]
    if rows:
        transaction.execute(insert(audit_entry).values(common), rows)
        _forget_now_and_then(transaction)


def _row(subject: Subject) -> dict[str, Any]:
    name = subject.name
    return {
        "subject_id": subject.number,
        "subject_name": None if name is None else changes.text(name),
        "changes": changes.told(subject.changes),
    }


def _actor() -> str:
    if has_request_context():
        return accounts.email() if accounts.signed_in() else NOBODY
    # Not what the environment says: anybody can write there.
    number = os.getuid()
    try:
        return f"{COMMAND_LINE} ({pwd.getpwuid(number).pw_name})"
    except KeyError:
        return f"{COMMAND_LINE} ({number})"


# --- how long entries are kept -----------------------------------------------------------


class _Clock:
    """When this process last looked for old entries; shared by its threads, never exact."""

    next_at = 0.0


def forget_old(transaction: Transaction, days: int) -> int:
    """Remove the oldest entries beyond `days`, a portion at most; return how many. 0: none."""
    if not days:
        return 0
    old = select(audit_entry.c.id).where(audit_entry.c.at < database_moment(-days * _DAY))
    portion = old.order_by(audit_entry.c.at).limit(PORTION)
    return transaction.execute(delete(audit_entry).where(audit_entry.c.id.in_(portion))).rowcount


def tidy(engine: Engine, days: int) -> None:
    """Remove all that is too old, each portion in a transaction of its own."""
    removed = PORTION
    while removed == PORTION:
        with immediate(engine).begin() as transaction:
            removed = forget_old(transaction, days)


def _forget_now_and_then(transaction: Transaction) -> None:
    """Look for old entries once an hour, and with every entry while there are many."""
    if not has_app_context() or time.monotonic() < _Clock.next_at:
        return
    settings: WebSettings = current_app.extensions["hawser-settings"]
    removed = forget_old(transaction, settings.audit_days)
    _Clock.next_at = time.monotonic() + (0.0 if removed == PORTION else FORGET_EVERY)
