"""Applying a file of connections: plan, check, write. Everything or nothing.

Records are matched by name: a new name is created, a known one changed in the given
fields only; given subscriptions replace the set.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import insert, select

from database import rules
from database.models import Connection, Subscription
from webapp import audit, checks, columns, records, subscriptions, texts
from webapp.audit import Subject


@dataclass
class Plan:
    """One item of the file and what it means for the database."""

    index: int
    given: records.Values
    subscriptions: list[records.Values] | None
    #: The record as it is now, None for a new one.
    stored: records.Values | None = None
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return str(self.given.get("name", ""))

    @property
    def whole(self) -> records.Values:
        """The record as it will be."""
        base = records.defaults() if self.stored is None else _readable(self.stored)
        # A new record has no id yet; for `{id}` in a template any unused word will do.
        number = self.stored["id"] if self.stored else f"new-{self.index}"
        return {**base, **self.given, "id": number}

    @property
    def changes(self) -> records.Values:
        """The given fields that differ from what is stored."""
        if self.stored is None:
            return {key: value for key, value in self.whole.items() if key in records.FIELDS}
        return {k: v for k, v in self.given.items() if k != "name" and self.stored.get(k) != v}

    @property
    def new_subscriptions(self) -> list[records.Values] | None:
        """The subscriptions to write, None where they stay as they are."""
        if self.stored is None:
            return self.subscriptions or []
        if self.subscriptions is None or _same(self.subscriptions, self.stored["subscriptions"]):
            return None
        return self.subscriptions


class RejectedError(Exception):
    """The file is not applied; `lines` say why."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__(lines[0])
        self.lines = lines


def _same(some: list[records.Values], others: list[records.Values]) -> bool:
    """Whether both are the same subscriptions, in whatever order."""
    return sorted(some, key=_filter_of) == sorted(others, key=_filter_of)


def _filter_of(subscription: records.Values) -> str:
    return str(subscription.get("topic_filter"))


def _readable(record: records.Values) -> records.Values:
    """Return `record` with the secrets that no key opens taken for none."""
    return {key: None if value == columns.UNREADABLE else value for key, value in record.items()}


# --- reading the file


def parse(text: str) -> list[Any]:
    """Return the items of a file. Raises RejectedError."""
    try:
        items = json.loads(text)
    except json.JSONDecodeError as error:
        line = f"this is not JSON: {error.msg} in line {error.lineno}, column {error.colno}"
        raise RejectedError([line]) from None
    except (RecursionError, ValueError):
        raise RejectedError(["this is not JSON that can be read"]) from None
    if not isinstance(items, list):
        raise RejectedError(["the file must hold a list of objects: [{...}, {...}]"])
    return items


def apply(transaction: Transaction, items: Sequence[Any], hostname: str) -> tuple[int, int, int]:
    """Create and change records; return how many were created, changed and left.

    Raises RejectedError with a line a problem; the caller's transaction must then roll back.
    """
    plans = [_plan(index, item) for index, item in enumerate(items)]
    _match(transaction, plans)
    _check(plans, hostname)
    _check_clashes(transaction, plans, hostname)
    lines = [line for plan in plans for line in _lines(plan)]
    if lines:
        raise RejectedError(lines)
    return _write(transaction, plans)


def _plan(index: int, item: Any) -> Plan:
    if not isinstance(item, Mapping):
        return Plan(index, {}, None, problems={"": "Write an object: {...}."})
    given = {key: value for key, value in item.items() if key in records.FIELDS}
    plan = Plan(index, records.normalised(given), None)
    for key in item.keys() - set(records.FIELDS) - {"subscriptions"}:
        own = key in records.OWN_COLUMNS
        plan.problems[str(key)] = "Hawser sets this; leave it out." if own else "Unknown field."
    if "subscriptions" in item:
        plan.subscriptions = _subscriptions(plan, item["subscriptions"])
    return plan


def _subscriptions(plan: Plan, given: Any) -> list[records.Values]:
    if not isinstance(given, list):
        plan.problems["subscriptions"] = "Write a list of objects."
        return []
    result = []
    for index, item in enumerate(given):
        key = f"subscriptions[{index}]"
        if not isinstance(item, Mapping):
            plan.problems[key] = 'Write an object: {"topic_filter": ..., "qos": ...}.'
            continue
        for unknown in item.keys() - set(subscriptions.FIELDS):
            plan.problems[f"{key}.{unknown}"] = "Unknown field."
        result.append({"qos": 1, "is_enabled": True, "expected_every_s": 0, **item})
    return result


def _lines(plan: Plan) -> list[str]:
    where = f"item {plan.index + 1}" + (f' ("{plan.name}")' if plan.name else "")
    return [
        f"{where}, {key}: {sentence}" if key else f"{where}: {sentence}"
        for key, sentence in plan.problems.items()
    ]


# --- comparing with the database


def _match(transaction: Transaction, plans: Sequence[Plan]) -> None:
    stored = _stored(transaction, {plan.name for plan in plans})
    for plan in plans:
        plan.stored = stored.get(plan.name)


def _stored(transaction: Transaction, names: set[str]) -> dict[str, records.Values]:
    """Return the records called `names` by name, with their secrets as far as keys open them."""
    rows = transaction.execute(
        select(
            *(columns.raw(getattr(Connection, key)) for key in ("id", *records.PLAIN_FIELDS)),
            *(columns.secret(Connection.__table__.c[key]) for key in records.SECRETS),
        )
    )
    found = {row.name: dict(row._mapping) for row in rows if row.name in names}
    by_id = {record["id"]: record for record in found.values()}
    for record in found.values():
        record["subscriptions"] = []
        records.read_flags(record)
    for connection_id, item in subscriptions.of_all(transaction):
        if connection_id in by_id:
            by_id[connection_id]["subscriptions"].append(item)
    return found


def _check(plans: Sequence[Plan], hostname: str) -> None:
    seen: dict[str, int] = {}
    for plan in plans:
        if "" in plan.problems:
            continue
        whole = plan.whole
        wanted = plan.subscriptions
        if wanted is None:
            wanted = plan.stored["subscriptions"] if plan.stored else []
        found = checks.by_itself(whole, wanted, hostname)
        plan.problems.update({k: v for k, v in found.items() if k not in plan.problems})
        if plan.name in seen and "name" not in plan.problems:
            plan.problems["name"] = f"Item {seen[plan.name] + 1} has the same name."
        seen.setdefault(plan.name, plan.index)


def _check_clashes(transaction: Transaction, plans: Sequence[Plan], hostname: str) -> None:
    """Find records that would share a client id on one broker in the resulting set."""
    touched = {plan.stored["id"] for plan in plans if plan.stored}
    others = transaction.execute(
        select(*(columns.raw(getattr(Connection, key)) for key in checks.IDENTITY))
    ).all()
    owners: dict[tuple[str, int, str], str] = {}
    for other in others:
        if other.id not in touched and (key := checks.identity(dict(other._mapping), hostname)):
            owners[key] = other.name
    for plan in plans:
        if plan.problems:
            continue
        key = rules.identity(plan.whole, hostname)
        if key in owners:
            plan.problems["client_id"] = texts.same_client_id(owners[key], key[2])
        owners.setdefault(key, plan.name)


# --- writing


def _write(transaction: Transaction, plans: Sequence[Plan]) -> tuple[int, int, int]:
    new = [plan for plan in plans if plan.stored is None]
    changed = 0
    for plan in plans:
        if plan.stored is None:
            continue
        changes, wanted = plan.changes, plan.new_subscriptions
        if changes or wanted is not None:
            records.change(transaction, plan.stored["id"], changes, wanted)
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
