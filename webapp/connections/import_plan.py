"""What a file of connections means for the database: one plan an item, nothing written yet.

Records are matched by name: a new name is created, a known one changed in the given
fields only; given subscriptions replace the set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Connection as Transaction
from sqlalchemy import select

from database import rules
from database.models import Connection, Subscription
from webapp import columns
from webapp.auditing import changes
from webapp.connections import checks, import_values, records, secret_release, subscriptions
from webapp.wording import texts

_KNOWN = (*records.FIELDS, "subscriptions")
#: Unknown fields that may be slips of the pen; more are another tool's.
MOST_SLIPS = 3
#: Unknown fields that are named, and characters of each.
MOST_NAMES, MOST_CHARACTERS = 20, 60


@dataclass
class Plan:
    """One item of the file and what it means for the database."""

    index: int
    given: records.Values
    subscriptions: list[records.Values] | None
    #: The record as it is now, None for a new one.
    stored: records.Values | None = None
    problems: dict[str, str] = field(default_factory=dict)
    #: Fields of the file that are none of ours, in its order.
    unknown: list[str] = field(default_factory=list)

    @property
    def is_foreign(self) -> bool:
        """Whether another tool wrote the item: so many fields are no slips of the pen."""
        return len(self.unknown) > MOST_SLIPS

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
        """The given fields that count as changes of what is stored."""
        if self.stored is None:
            return {key: value for key, value in self.whole.items() if key in records.FIELDS}
        given = {key: value for key, value in self.given.items() if key != "name"}
        return {k: v for k, v in given.items() if changes.differs(k, self.stored.get(k), v)}

    @property
    def is_change(self) -> bool:
        """Whether a record that there is would be another."""
        return bool(self.changes) or self.new_subscriptions is not None

    @property
    def new_subscriptions(self) -> list[records.Values] | None:
        """The subscriptions to write, None where they stay as they are."""
        if self.stored is None:
            return self.subscriptions or []
        if self.subscriptions is None or _same(self.subscriptions, self.stored["subscriptions"]):
            return None
        return self.subscriptions


def _same(some: list[records.Values], others: list[records.Values]) -> bool:
    """Whether both are the same subscriptions, in whatever order."""
    return sorted(some, key=_filter_of) == sorted(others, key=_filter_of)


def _filter_of(subscription: records.Values) -> str:
    return str(subscription.get("topic_filter"))


def _readable(record: records.Values) -> records.Values:
    """Return `record` with the secrets that no key opens taken for none."""
    return {key: None if value == columns.UNREADABLE else value for key, value in record.items()}


def make(
    transaction: Transaction, items: Sequence[Any], hostname: str, *, lock: bool = False
) -> list[Plan]:
    """Return a plan for each item, with all that is wrong with it.

    With `lock` nobody else changes the records before the end of the transaction.
    """
    plans = [_plan(index, item) for index, item in enumerate(items)]
    _tell_unknown(plans)
    _match(transaction, plans, lock=lock)
    _check(plans, hostname)
    _check_clashes(transaction, plans, hostname)
    return plans


def fingerprint(plans: Sequence[Plan]) -> str:
    """Return what is the same as long as a file means the same for the same records."""
    met = [
        (plan.name, *((plan.stored["id"], plan.stored["revision"]) if plan.stored else ()))
        for plan in plans
    ]
    return hashlib.sha256(repr(met).encode("utf-8", "backslashreplace")).hexdigest()


def _plan(index: int, item: Any) -> Plan:
    if not isinstance(item, Mapping):
        return Plan(index, {}, None, problems={"": _("Write an object: {...}.")})
    given = {key: value for key, value in item.items() if key in records.FIELDS}
    given = import_values.typed(Connection.__table__, given)  # type: ignore[arg-type]
    plan = Plan(index, records.normalised(given), None)
    plan.unknown = [str(key) for key in item if key not in (*_KNOWN, *records.OWN_COLUMNS)]
    own = {key: _("Hawser sets this; leave it out.") for key in records.OWN_COLUMNS if key in item}
    if "subscriptions" in item:
        plan.subscriptions = _subscriptions(plan, item["subscriptions"])
    plan.problems = own | plan.problems
    return plan


def _subscriptions(plan: Plan, given: Any) -> list[records.Values]:
    if not isinstance(given, list):
        plan.problems["subscriptions"] = _("Write a list of objects.")
        return []
    result = []
    for index, item in enumerate(given):
        key = f"subscriptions[{index}]"
        if not isinstance(item, Mapping):
            plan.problems[key] = _('Write an object: {"topic_filter": ..., "qos": ...}.')
            continue
        plan.unknown += [f"{key}.{name}" for name in item if name not in subscriptions.FIELDS]
        values = import_values.typed(Subscription.__table__, item)  # type: ignore[arg-type]
        result.append({"qos": 1, "is_enabled": True, "expected_every_s": 0, **values})
    return result


def _tell_unknown(plans: Sequence[Plan]) -> None:
    """Name the fields that nobody knows, in one sentence an item; the first says which there are.

    Where they are many another tool wrote the item, and nothing else is said of it.
    """
    strange = [plan for plan in plans if plan.unknown]
    for plan in strange:
        names = [name[:MOST_CHARACTERS] for name in plan.unknown[:MOST_NAMES]]
        names += ["..."] if len(plan.unknown) > MOST_NAMES else []
        sentence = _("Unknown field.") if len(plan.unknown) == 1 else _("Unknown fields.")
        if plan is strange[0]:
            sentence = f"{sentence} {_known_fields()}"
        others = {} if plan.is_foreign else plan.problems
        plan.problems = {", ".join(names): sentence} | others


def _known_fields() -> str:
    fields, more = ", ".join(_KNOWN), ", ".join(subscriptions.FIELDS)
    told = _("There are: %(fields)s; and in subscriptions: %(more)s.", fields=fields, more=more)
    return str(told)


def _match(transaction: Transaction, plans: Sequence[Plan], *, lock: bool) -> None:
    stored = _stored(transaction, {plan.name for plan in plans}, lock=lock)
    for plan in plans:
        plan.stored = stored.get(plan.name)


def _stored(transaction: Transaction, names: set[str], *, lock: bool) -> dict[str, records.Values]:
    """Return the records called `names` by name, with their secrets as far as keys open them."""
    query = select(
        *(
            columns.raw(getattr(Connection, key))
            for key in ("id", "revision", *records.PLAIN_FIELDS)
        ),
        *(columns.secret(Connection.__table__.c[key]) for key in records.SECRETS),
    )
    rows = transaction.execute(query.with_for_update() if lock else query)
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
        if "" in plan.problems or plan.is_foreign:
            continue
        whole = plan.whole
        wanted = plan.subscriptions
        if wanted is None:
            wanted = plan.stored["subscriptions"] if plan.stored else []
        found = checks.by_itself(whole, wanted, hostname)
        found |= _refusals(plan, whole, found)
        plan.problems.update({k: v for k, v in found.items() if k not in plan.problems})
        if plan.name in seen and "name" not in plan.problems:
            plan.problems["name"] = _(
                "Item %(number)s has the same name.", number=seen[plan.name] + 1
            )
        seen.setdefault(plan.name, plan.index)


def _refusals(plan: Plan, whole: records.Values, wrong: Mapping[str, str]) -> dict[str, str]:
    """Return why secrets that the file leaves as they are must not go where it leads."""
    stored = plan.stored
    if stored is None:
        return {}
    kept = [key for key in records.SECRETS if key not in plan.given and stored[key] is not None]
    return secret_release.refusals(stored, whole, kept, wrong)


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
