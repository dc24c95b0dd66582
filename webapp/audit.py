"""What people changed: one entry a change, written in the change's own transaction.

Of a secret an entry tells that it changed, never what it was.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import has_request_context, request
from sqlalchemy import Connection as Transaction
from sqlalchemy import insert

from database.models import audit_entry
from webapp import accounts

#: `{field: (old, new)}`.
Changes = Mapping[str, tuple[Any, Any]]
#: Who acts where nobody is signed in.
COMMAND_LINE = "command line"


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
    transaction.execute(
        insert(audit_entry).values(
            actor=actor or _actor(),
            address=request.remote_addr if has_request_context() else None,
            action=action,
            subject_kind=kind,
            subject_id=number,
            subject_name=name,
            changes={field: list(pair) for field, pair in (changes or {}).items()},
        )
    )


def _actor() -> str:
    return accounts.email() if accounts.signed_in() else COMMAND_LINE
