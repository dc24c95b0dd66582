"""Applying a file of connections: read, check, write. Everything or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Connection as Transaction
from sqlalchemy import insert, select

from database.models import Connection, Subscription
from webapp import audit, columns, import_plan, records, subscriptions
from webapp.audit import Subject
from webapp.import_plan import Plan


class RejectedError(Exception):
    """The file is not applied; `lines` say why."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines[0])
        self.lines = lines


def parse(text: str) -> list[Any]:
    """Return the items of a file. Raises RejectedError."""
    try:
        items = json.loads(text)
        # Half a character, written as an escape, is no text and fits no database.
        json.dumps(items, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        where = {"line": error.lineno, "column": error.colno, "problem": error.msg}
        line = _("this is not JSON: %(problem)s in line %(line)s, column %(column)s", **where)
        raise RejectedError([line]) from None
    except (RecursionError, ValueError):
        raise RejectedError([_("this is not JSON that can be read")]) from None
    if not isinstance(items, list):
        raise RejectedError([_("the file must hold a list of objects: [{...}, {...}]")])
    return items


def apply(transaction: Transaction, items: Sequence[Any], hostname: str) -> tuple[int, int, int]:
    """Create and change records; return how many were created, changed and left.

    Raises RejectedError with a line a problem; the caller's transaction must then roll back.
    """
    plans = import_plan.make(transaction, items, hostname)
    lines = [line for plan in plans for line in _lines(plan)]
    if lines:
        raise RejectedError(lines)
    return _write(transaction, plans)


def _lines(plan: Plan) -> list[str]:
    where = f"item {plan.index + 1}" + (f' ("{plan.name}")' if plan.name else "")
    return [
        f"{where}, {key}: {sentence}" if key else f"{where}: {sentence}"
        for key, sentence in plan.problems.items()
    ]


def _write(transaction: Transaction, plans: Sequence[Plan]) -> tuple[int, int, int]:
    new = [plan for plan in plans if plan.stored is None]
    changed = 0
    for plan in plans:
        if plan.stored is None:
            continue
        if plan.is_change:
            records.change(transaction, plan.stored["id"], plan.changes, plan.new_subscriptions)
            changed += 1
    _create(transaction, new)
    return len(new), changed, len(plans) - len(new) - changed


def _create(transaction: Transaction, plans: Sequence[Plan]) -> None:
    """Insert many records in two statements."""
    if not plans:
        return
    transaction.execute(
        insert(Connection.__table__),  # type: ignore[arg-type]
        [records.stored(plan.changes) for plan in plans],
    )
    names = {plan.name for plan in plans}
    rows = transaction.execute(select(Connection.id, columns.raw(Connection.name)))
    ids = {row.name: row.id for row in rows if row.name in names}
    wanted = [
        subscriptions.as_row(ids[plan.name], item)
        for plan in plans
        for item in plan.new_subscriptions or []
    ]
    if wanted:
        transaction.execute(insert(Subscription.__table__), wanted)  # type: ignore[arg-type]
    made = (
        Subject(
            ids[plan.name],
            plan.name,
            records.told_whole(plan.changes, plan.new_subscriptions or []),
        )
        for plan in plans
    )
    audit.note_all(transaction, f"{records.KIND}.create", records.KIND, made)
