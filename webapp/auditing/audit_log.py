"""The audit log as administrators ask for it: filtered, newest first, a page at a time.

Pages go by id, as those of the timeline; a search that no index serves stops after a
bounded number of ids and says where to go on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import ColumnElement, ScalarSelect, Select, Text, cast, exists, func, or_, select
from sqlalchemy import Connection as Transaction

from database.clock import database_moment
from database.models import Connection, audit_entry
from webapp import columns
from webapp.connections import records
from webapp.wording.lazy import lazy_gettext as _l

#: Times that one may ask for: word in the address, words on the page, seconds.
SPANS: dict[str, tuple[Any, float]] = {
    "1h": (_l("the last hour"), 3600.0),
    "24h": (_l("the last 24 hours"), 86_400.0),
    "7d": (_l("the last 7 days"), 7 * 86_400.0),
    "30d": (_l("the last 30 days"), 30 * 86_400.0),
    "365d": (_l("the last 365 days"), 365 * 86_400.0),
}
#: Ids that one search looks through.
SEARCHED = 200_000
#: The newest entries, in which the names to choose from are looked up, and how many names.
RECENT, MOST_NAMES = 5_000, 200
#: What an entry may be about.
CONNECTION = "connection"

_entry = audit_entry.c


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; everything without a value."""

    who: str = ""
    action: str = ""
    #: The id of a connection.
    connection: int | None = None
    #: Part of the name of what was changed.
    name: str = ""
    span: str = ""
    #: Anywhere in what was changed.
    text: str = ""

    @classmethod
    def asked(cls, arguments: Mapping[str, str]) -> Self:
        """Read the filter from the arguments of an address; nonsense asks for nothing."""
        span = arguments.get("span", "")
        return cls(
            who=_text(arguments.get("who", "")),
            action=_text(arguments.get("action", "")),
            connection=records.identifier(arguments.get("connection")),
            name=_text(arguments.get("name", "")),
            span=span if span in SPANS else "",
            text=_text(arguments.get("text", "")),
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of an address that asks for the same."""
        found = {key: getattr(self, key) for key in self.__slots__}
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class Entry:
    """One change as it was written down."""

    id: int
    at: datetime | None
    actor: str
    address: str | None
    action: str
    kind: str
    number: int | None
    name: str | None
    changes: Mapping[str, Any]
    #: Whether the connection that was changed is still there.
    exists: bool


@dataclass(frozen=True, slots=True)
class Found:
    """A page of entries, newest first."""

    rows: Sequence[Entry]
    #: Where the next page starts; None on the last.
    before: int | None


def search(transaction: Transaction, wanted: Filter, before: int | None, limit: int) -> Found:
    """Return up to `limit` entries with ids below `before`."""
    top = before or (transaction.scalar(select(func.max(_entry.id))) or 0) + 1
    bottom = transaction.scalar(select(_bottom(wanted)))
    if bottom is None:
        return Found((), None)
    exact = bool(wanted.who) and _is_known(transaction, wanted.who)
    indexed = wanted.connection is not None or exact
    end = bottom if indexed else max(bottom, top - SEARCHED)
    which = (*_conditions(wanted, exact=exact), _entry.id < top, _entry.id >= end)
    query = _statement().where(*which).order_by(_entry.id.desc()).limit(limit + 1)
    rows = [_read(row) for row in transaction.execute(query)]
    more = rows[limit - 1].id if len(rows) > limit else None
    return Found(rows[:limit], more or (end if end > bottom else None))


def actors(transaction: Transaction) -> list[str]:
    """Return who changed something of late, as far as people can write it into a field."""
    recent = select(_entry.actor).order_by(_entry.id.desc()).limit(RECENT).subquery()
    names = transaction.scalars(select(columns.words(recent.c.actor)).distinct().limit(MOST_NAMES))
    return sorted(name for name in names if name.isprintable())


def _statement() -> Select[Any]:
    return select(
        columns.raw(_entry.id),
        columns.time(_entry.at),
        columns.words(_entry.actor),
        columns.words(_entry.address),
        columns.words(_entry.action),
        columns.words(_entry.subject_kind),
        columns.raw(_entry.subject_id),
        columns.words(_entry.subject_name),
        columns.json_object(_entry.changes),
        Connection.id.is_not(None).label("exists"),
    ).outerjoin_from(
        audit_entry,
        Connection,
        (_entry.subject_kind == CONNECTION) & (Connection.id == _entry.subject_id),
    )


def _read(row: Any) -> Entry:
    return Entry(
        id=row.id,
        at=row.at,
        actor=row.actor,
        address=row.address,
        action=row.action,
        kind=row.subject_kind,
        number=row.subject_id,
        name=row.subject_name,
        changes=row.changes or {},
        exists=bool(row.exists),
    )


def _conditions(wanted: Filter, *, exact: bool) -> Iterator[ColumnElement[bool]]:
    if exact:
        yield _entry.actor == wanted.who
    elif wanted.who:
        yield _entry.actor.icontains(wanted.who, autoescape=True)
    if wanted.action:
        yield _entry.action == wanted.action
    if wanted.connection is not None:
        yield (_entry.subject_kind == CONNECTION) & (_entry.subject_id == wanted.connection)
    if wanted.name:
        yield _entry.subject_name.icontains(wanted.name, autoescape=True)
    if wanted.span:
        # Ids only come close to the times.
        yield _entry.at >= _since(wanted)
    if wanted.text:
        yield _holds(wanted.text)


def _holds(text: str) -> ColumnElement[bool]:
    """Say of an entry that `text` stands somewhere in it."""
    # JSON holds what is not ASCII by its escapes.
    escaped = json.dumps(text)[1:-1]
    return or_(
        cast(_entry.changes, Text).icontains(escaped, autoescape=True),
        _entry.subject_name.icontains(text, autoescape=True),
        _entry.address.icontains(text, autoescape=True),
    )


def _is_known(transaction: Transaction, actor: str) -> bool:
    """Whether somebody is called exactly so: then the index of actors serves."""
    return bool(transaction.scalar(select(exists().where(_entry.actor == actor))))


def _bottom(wanted: Filter) -> ScalarSelect[Any]:
    """Select the lowest id that can matter."""
    if not wanted.span:
        return select(func.min(_entry.id)).scalar_subquery()
    first = select(_entry.id).where(_entry.at >= _since(wanted)).order_by(_entry.at)
    return first.limit(1).scalar_subquery()


def _since(wanted: Filter) -> ScalarSelect[Any]:
    return database_moment(-SPANS[wanted.span][1])


def _text(value: str) -> str:
    # PostgreSQL takes no NUL; nothing that is stored holds one.
    return value.encode("utf-8", "ignore").decode().replace("\x00", "").strip()
