"""Searching messages: the shortest way to a page of ids.

One index answers what asks for nothing, for connections, or for topics. Anything more is
looked for in windows of ids (`scan`), along the index that leaves least to look through.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy import Connection as Transaction

from database.clock import database_moment
from database.models import Connection, Message
from webapp import columns
from webapp.messages import ids, topics
from webapp.messages.asking import Filter, moment
from webapp.messages.ids import Range
from webapp.messages.limits import TooLongError, limited
from webapp.messages.scan import Scan
from webapp.messages.wanted import Wanted, conditions, on_topics

#: How long a page may look, seconds, and how much of it to list topics or to count.
BUDGET, FOR_TOPICS = 0.1, 0.04
#: Rows that an index is asked to count at most, to see which leaves least.
COUNTED = 30_000
#: Ids that are merged from several topics or connections at most.
MERGED = 200
#: Topics whose messages are counted at most.
FEW_TOPICS = 100


@dataclass(frozen=True, slots=True)
class Place:
    """Where to look: ids below `before` and above `after`, the newest of them first or last."""

    before: int | None = None
    after: int | None = None
    newest: bool = True
    #: Whether it may be worth while to list the topics that match.
    lists_topics: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """A page of ids, newest first."""

    ids: Sequence[int]
    #: Where to go on: below this id, or above it where the oldest came first; None at the end.
    rest: int | None = None
    #: The search ended there because its time was up.
    stopped: bool = False
    #: A list of the topics that match was of no use; the next page need not make one.
    too_many_topics: bool = False
    #: The newest id of all at that moment, 0 if there is none.
    newest: int = 0


def search(
    transaction: Transaction, wanted: Filter, place: Place, limit: int, budget: float | None = None
) -> Found:
    """Return up to `limit` ids of what is wanted; after `budget` seconds what there is by then."""
    deadline = time.monotonic() + (BUDGET if budget is None else budget)
    everything = ids.all_of(transaction)
    among = _range(transaction, wanted, place, everything)
    found = Found(())
    if not among.is_empty:
        found = _among(
            transaction,
            _look_up(transaction, wanted, among, place, deadline),
            place,
            limit,
            deadline,
        )
    return replace(found, newest=max(0, everything.high - 1))


def _among(
    transaction: Transaction, wanted: Wanted, place: Place, limit: int, deadline: float
) -> Found:
    """Return up to `limit` ids in the range of `wanted`."""
    if wanted.connections == [] or wanted.topics == []:
        return Found(())
    if wanted.is_plain and not _is_better_scanned(transaction, wanted, limit):
        found = _by_index(transaction, wanted, limit + 1, newest=place.newest)
        return _page(found, None, limit, newest=place.newest)
    soon = min(deadline, time.monotonic() + FOR_TOPICS)
    scan = _scan(transaction, wanted, limit + 1, soon, newest=place.newest)
    rest = scan.run(transaction, deadline)
    page = _page(scan.found, rest, limit, newest=place.newest)
    return replace(page, too_many_topics=bool(scan.topic_filter))


def received_about(transaction: Transaction, number: int) -> datetime | None:
    """Return when the message with an id came, or the one before it."""
    query = select(columns.time(Message.received_at)).where(Message.id <= number)
    found: datetime | None = transaction.scalar(query.order_by(Message.id.desc()).limit(1))
    return found


def _page(found: Sequence[int], rest: int | None, limit: int, *, newest: bool) -> Found:
    page = list(found[:limit])
    if len(found) > limit:
        return Found(_in_order(page, newest), page[-1])
    return Found(_in_order(page, newest), rest, stopped=rest is not None)


def _in_order(page: list[int], newest: bool) -> list[int]:
    return page if newest else page[::-1]


# --- looking up


def _range(transaction: Transaction, wanted: Filter, place: Place, among: Range) -> Range:
    """Return the ids of `among` that can matter."""
    since, until = _since(transaction, wanted), moment(wanted.until)
    low, high = among.low, among.high
    if since:
        low = ids.first_since(transaction, since - ids.LATE, among)
    if until:
        high = ids.first_since(transaction, until + ids.LATE, among)
    low, high = max(low, (place.after or 0) + 1), min(high, place.before or high)
    return Range(low, high, since, until)


def _since(transaction: Transaction, wanted: Filter) -> datetime | None:
    """Return the moment from which on messages matter, None for all."""
    since = moment(wanted.since)
    if wanted.seconds is None:
        return since
    start = transaction.scalar(
        select(columns.time(database_moment(-wanted.seconds).label("moment")))
    )
    return max(filter(None, (since, start)), default=None)


def _look_up(
    transaction: Transaction, wanted: Filter, among: Range, place: Place, deadline: float
) -> Wanted:
    found: Sequence[str] | None = None
    if wanted.topic and place.lists_topics:
        soon = min(deadline, time.monotonic() + FOR_TOPICS)
        found = topics.find(transaction, wanted.topic, soon)
    return Wanted(wanted, among, _connections(transaction, wanted), found)


def _connections(transaction: Transaction, wanted: Filter) -> list[int] | None:
    if wanted.connection:
        return [wanted.connection]
    if not wanted.name:
        return None
    named = Connection.name.icontains(wanted.name, autoescape=True)
    return list(transaction.scalars(select(Connection.id).where(named)))


# --- by an index


def _is_better_scanned(transaction: Transaction, wanted: Wanted, limit: int) -> bool:
    """Whether PostgreSQL would read much of many topics or connections to merge the newest."""
    keys = wanted.topics if wanted.topics is not None else wanted.connections
    is_long = limit > MERGED and keys is not None and len(keys) > 1
    return is_long and transaction.dialect.name != "sqlite"


def _by_index(transaction: Transaction, wanted: Wanted, limit: int, *, newest: bool) -> list[int]:
    if wanted.topics is not None:
        return ids.of_topics(transaction, wanted.topics, wanted.among, limit, newest=newest)
    if wanted.connections is not None:
        return ids.of_connections(
            transaction, wanted.connections, wanted.among, limit, newest=newest
        )
    return ids.of_all(transaction, wanted.among, limit, newest=newest)


# --- in windows


def _scan(
    transaction: Transaction, wanted: Wanted, limit: int, deadline: float, *, newest: bool
) -> Scan:
    if wanted.topics is not None and not _topics_are_less(transaction, wanted, deadline):
        # Then the Topic Filter itself is quicker than a list of topics.
        wanted = replace(wanted, topics=None)
    found = list(conditions(wanted, transaction.dialect.name))
    return Scan(wanted.among, found, wanted.pattern, newest, limit, bool(wanted.filter.text))


def _topics_are_less(transaction: Transaction, wanted: Wanted, deadline: float) -> bool:
    """Whether clearly fewer messages are on the topics than are of the connections."""
    found = wanted.topics or ()
    if wanted.connections is None:
        return True
    if len(found) > FEW_TOPICS:
        return False
    of_connections = Message.connection_id.in_(wanted.connections)
    most = _count(transaction, of_connections, wanted.among, COUNTED, deadline)
    of_topics = on_topics(found, transaction.dialect.name)
    return _count(transaction, of_topics, wanted.among, most, deadline) < most


def _count(
    transaction: Transaction,
    condition: ColumnElement[bool],
    among: Range,
    most: int,
    deadline: float,
) -> int:
    """Count the messages of a condition, at most `most`."""
    some = select(Message.id).where(condition, Message.id >= among.low, Message.id < among.high)
    rows = some.limit(most).subquery()
    try:
        with limited(transaction, deadline - time.monotonic()):
            return transaction.scalar(select(func.count()).select_from(rows)) or 0
    except TooLongError:
        return most
