"""Events as people ask for them: filtered, newest first, a page at a time.

Pages are told apart by the id they start below, never counted: the table may hold
millions of rows. A search that finds nothing stops after a bounded number of ids and
says where to go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from sqlalchemy import ColumnElement, ScalarSelect, Select, func, null, select
from sqlalchemy import Connection as Transaction

from database import reasons
from database.clock import database_moment, database_now
from database.models import Connection, ConnectionEvent
from database.repetitions import is_repetition
from database.words import ConnectionState
from webapp import columns
from webapp.connections import records
from webapp.wording.language import in_words
from webapp.wording.lazy import lazy_gettext as _

#: Times that one may ask for: word in the address, words on the page, seconds.
SPANS: dict[str, tuple[Any, float]] = {
    "1h": (_("the last hour"), 3600.0),
    "24h": (_("the last 24 hours"), 86_400.0),
    "7d": (_("the last 7 days"), 7 * 86_400.0),
    "30d": (_("the last 30 days"), 30 * 86_400.0),
}
#: States that are stored.
STATES = tuple(state for state in ConnectionState if state is not ConnectionState.UNKNOWN)
#: Ids that one search looks through.
SEARCHED = 500_000
#: The newest events, in which the reasons to choose from are looked up.
RECENT = 20_000
#: Ids follow the times but for events that are written a little late, seconds.
LATE = 60.0

_event = ConnectionEvent
_COLUMNS = ("id", "connection_id", "raw_code")
_WORDS = ("state", "previous_state", "reason_code", "origin", "certainty")


@dataclass(frozen=True, slots=True)
class Filter:
    """What is asked for; everything without a value."""

    connection: int | None = None
    name: str = ""
    reason: str = ""
    state: str = ""
    span: str = ""
    #: `hidden` leaves out what only repeats the event before it.
    tries: str = ""

    @classmethod
    def asked(cls, arguments: Mapping[str, str]) -> Self:
        """Read the filter from the arguments of an address; nonsense asks for nothing."""
        state, span = arguments.get("state", ""), arguments.get("span", "")
        return cls(
            connection=records.identifier(arguments.get("connection")),
            name=_text(arguments.get("name", "")),
            reason=_text(arguments.get("reason", "")),
            state=state if state in STATES else "",
            span=span if span in SPANS else "",
            tries="hidden" if arguments.get("tries") == "hidden" else "",
        )

    def arguments(self) -> dict[str, Any]:
        """Return the arguments of an address that asks for the same."""
        found = {key: getattr(self, key) for key in self.__slots__}
        return {key: value for key, value in found.items() if value}

    @property
    def seconds(self) -> float | None:
        """How far back the filter reaches; None for everything."""
        return SPANS[self.span][1] if self.span else None


@dataclass(frozen=True, slots=True)
class Found:
    """A page of events, newest first."""

    rows: Sequence[Mapping[str, Any]]
    #: Where the next page starts; None on the last.
    before: int | None


def search(transaction: Transaction, wanted: Filter, before: int | None, limit: int) -> Found:
    """Return up to `limit` events with ids below `before`."""
    top = before or (transaction.scalar(select(func.max(_event.id))) or 0) + 1
    bottom, since = transaction.execute(select(_bottom(wanted), _start(wanted))).one()
    if bottom is None:
        return Found((), None)
    # A connection has few events and an index; anything else may be looked for in vain.
    end = bottom if wanted.connection else max(bottom, top - SEARCHED)
    which = (*conditions(wanted), _event.id < top, _event.id >= end)
    query = statement().where(*which).order_by(_event.id.desc()).limit(limit + 1)
    rows = [dict(row._mapping) for row in transaction.execute(query)]
    more = rows[limit - 1]["id"] if len(rows) > limit else None
    # A death is written when it is found out; the ids only come close to the times.
    shown = [row for row in rows[:limit] if not since or (row["at"] and row["at"] >= since)]
    return Found(shown, more or (end if end > bottom else None))


def statement() -> Select[Any]:
    """Select events with the names of their connections."""
    return select(
        *(columns.raw(getattr(_event, name)) for name in _COLUMNS),
        *(columns.words(getattr(_event, name)) for name in _WORDS),
        columns.json_object(_event.detail),
        columns.time(_event.at),
        columns.raw(Connection.name),
    ).outerjoin_from(_event, Connection, Connection.id == _event.connection_id)


def latest(transaction: Transaction, connection_id: int, limit: int) -> Sequence[Mapping[str, Any]]:
    """Return the newest events of a connection, repetitions left out."""
    wanted = Filter(connection=connection_id, tries="hidden")
    return search(transaction, wanted, None, limit).rows


def conditions(wanted: Filter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions on events, but for the time."""
    if wanted.connection:
        yield _event.connection_id == wanted.connection
    if wanted.name:
        named = select(Connection.id).where(Connection.name.icontains(wanted.name, autoescape=True))
        yield _event.connection_id.in_(named)
    if wanted.reason:
        yield _event.reason_code == wanted.reason
    if wanted.state:
        yield _event.state == ConnectionState(wanted.state)
    if wanted.tries:
        yield ~is_repetition()


def first_since(moment: datetime | ColumnElement[Any]) -> ScalarSelect[Any]:
    """Select the id of the first event since `moment`, found in the index of times."""
    first = select(_event.id).where(_event.at >= moment).order_by(_event.at)
    return first.limit(1).scalar_subquery()


def reasons_of(transaction: Transaction, wanted: Filter) -> dict[str, str]:
    """Return the words for each reason among recent events, and for the one asked for."""
    recent = select(_event.reason_code).order_by(_event.id.desc()).limit(RECENT)
    if wanted.connection:
        recent = recent.where(_event.connection_id == wanted.connection)
    code = recent.subquery().c.reason_code
    found = set(transaction.scalars(select(columns.words(code)).distinct()))
    codes = sorted(found | ({wanted.reason} if wanted.reason else set()), key=_summary)
    shared = Counter(map(_summary, codes))
    return {code: _words(code, alone=shared[_summary(code)] == 1) for code in codes}


def _bottom(wanted: Filter) -> ScalarSelect[Any]:
    """Select the lowest id that can matter."""
    if wanted.seconds is not None:
        return first_since(database_moment(-wanted.seconds - LATE))
    oldest = select(func.min(_event.id))
    if wanted.connection:
        oldest = oldest.where(_event.connection_id == wanted.connection)
    return oldest.scalar_subquery()


def _start(wanted: Filter) -> ColumnElement[Any]:
    """Select the moment from which on events matter, null for all."""
    return (
        null()
        if wanted.seconds is None
        else columns.time(database_now(-wanted.seconds).label("since"))
    )


def _words(code: str, *, alone: bool) -> str:
    words = _summary(code)
    return words if alone else f"{words} ({code})"


def _summary(code: str) -> str:
    return in_words(reasons.summarise(code))


def _text(value: str) -> str:
    # PostgreSQL takes no NUL; nothing that is stored holds one.
    return value.replace("\x00", "").strip()
