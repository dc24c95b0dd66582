"""Applying a file of connections: read, check, write. Everything or nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Connection as Transaction

from webapp.connections import bulk, import_plan
from webapp.connections.bulk import Difference
from webapp.connections.import_plan import Plan
from webapp.wording import texts

#: Records and subscriptions that a page looks at: each is far larger in memory than in a file.
MOST_OBJECTS = 50_000


class RejectedError(Exception):
    """The file is not applied; `lines` say why."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines[0])
        self.lines = lines


class OutdatedError(Exception):
    """The records that the file is about are not those that somebody has looked at."""


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


def refuse_too_many(items: Sequence[Any]) -> None:
    """Refuse a file that would keep all other pages waiting. Raises RejectedError."""
    lists = (item.get("subscriptions") for item in items if isinstance(item, dict))
    if len(items) + sum(len(each) for each in lists if isinstance(each, list)) > MOST_OBJECTS:
        many = texts.number(MOST_OBJECTS)
        raise RejectedError(
            [_("A file holds at most %(number)s records and subscriptions.", number=many)]
        )


def apply(
    transaction: Transaction, items: Sequence[Any], hostname: str, expected: str | None = None
) -> tuple[int, int, int]:
    """Create and change records; return how many were created, changed and left.

    Raises RejectedError with a line a problem, and OutdatedError if a fingerprint is `expected`
    and the plan has another by now; the caller's transaction must then roll back.
    """
    plans = import_plan.make(transaction, items, hostname, lock=True)
    if expected not in (None, import_plan.fingerprint(plans)):
        raise OutdatedError
    lines = [line for plan in plans for line in _lines(plan)]
    if lines:
        raise RejectedError(lines)
    return _write(transaction, plans)


def _lines(plan: Plan) -> list[str]:
    where = _("item %(number)s", number=plan.index + 1)
    if plan.name:
        where = f'{where} ("{plan.name}")'
    return [
        f"{where}, {key}: {sentence}" if key else f"{where}: {sentence}"
        for key, sentence in plan.problems.items()
    ]


def _write(transaction: Transaction, plans: Sequence[Plan]) -> tuple[int, int, int]:
    new = [plan for plan in plans if plan.stored is None]
    changed = [plan for plan in plans if plan.stored is not None and plan.is_change]
    bulk.change(transaction, [_difference(plan) for plan in changed])
    bulk.create(transaction, [(plan.changes, plan.new_subscriptions or []) for plan in new])
    return len(new), len(changed), len(plans) - len(new) - len(changed)


def _difference(plan: Plan) -> Difference:
    stored = plan.stored or {}
    return Difference(stored["id"], stored, plan.changes, plan.new_subscriptions)
