"""Which stored topics a Topic Filter matches, by jumps from topic to topic over the index."""

from __future__ import annotations

import time
from collections.abc import Iterator

from sqlalchemy import ColumnElement, Function, func, literal_column, text
from sqlalchemy import Connection as Transaction

from database.models import Message
from database.models.messages import TOPIC_HEAD
from database.topics import matches, unshared
from webapp.messages.limits import TooLongError, limited

#: Topics that are looked up one by one; more are looked for among the messages.
MANY = 400
#: Topics that are jumped over at most to find them.
VISITED = 10_000
#: Topics of one statement.
_JUMPS = 400

_WALK = """
WITH RECURSIVE walk(topic, number) AS (
    SELECT (SELECT {key} FROM message WHERE {key} {begin} :start {end} ORDER BY {key} LIMIT 1), 1
    UNION ALL
    SELECT (SELECT {key} FROM message WHERE {key} > walk.topic {end} ORDER BY {key} LIMIT 1),
        number + 1
    FROM walk WHERE topic IS NOT NULL AND number < :jumps
) SELECT topic FROM walk WHERE topic IS NOT NULL ORDER BY number
"""


def key(dialect: str) -> str:
    """Return the SQL of what the index over topics holds."""
    return "topic" if dialect == "sqlite" else f"substr(topic, 1, {TOPIC_HEAD})"


def is_whole(topic: str, dialect: str) -> bool:
    """Whether the index holds the whole of a topic."""
    return dialect == "sqlite" or len(topic) < TOPIC_HEAD


def prefix(topic_filter: str) -> str:
    """Return how every topic begins that the filter matches."""
    if topic_filter.startswith("/#"):
        return "/"
    ends = [at for at in (topic_filter.find("+"), topic_filter.find("/#")) if at >= 0]
    return "" if topic_filter == "#" else topic_filter[: min(ends, default=None)]


def find(transaction: Transaction, topic_filter: str, deadline: float) -> list[str] | None:
    """Return the stored topics that match, or None where they are too many to list."""
    wanted, dialect = unshared(topic_filter), transaction.dialect.name
    if "+" not in wanted and not wanted.endswith("#"):
        return [wanted] if is_whole(wanted, dialect) else None
    if wanted == "#":
        return None
    found: list[str] = []
    for number, topic in enumerate(_walk(transaction, prefix(wanted), deadline)):
        if topic is None or not is_whole(topic, dialect) or number >= VISITED:
            return None
        if matches(wanted, topic):
            found.append(topic)
        if len(found) > MANY:
            return None
    return found


def _walk(transaction: Transaction, start: str, deadline: float) -> Iterator[str | None]:
    """Yield the distinct topics that begin with `start`, in order; None when time is up."""
    if transaction.dialect.name != "sqlite":
        start = start[:TOPIC_HEAD]
    ends = _after(start)
    last, begin = start, ">="
    while True:
        sql = _WALK.format(
            key=key(transaction.dialect.name),
            begin=begin,
            end=f"AND {key(transaction.dialect.name)} < :end" if ends else "",
        )
        values = {"start": last, "jumps": _JUMPS} | ({"end": ends} if ends else {})
        try:
            with limited(transaction, deadline - time.monotonic()):
                found = transaction.scalars(text(sql), values).all()
        except TooLongError:
            yield None
            return
        for topic in found:
            last = topic.decode("utf-8", "replace") if isinstance(topic, bytes) else str(topic)
            yield last
        if len(found) < _JUMPS:
            return
        begin = ">"
        if time.monotonic() > deadline:
            yield None
            return


def _after(start: str) -> str | None:
    """Return the first text behind all that begin with `start`; None if there is none."""
    if not start or ord(start[-1]) >= 0xD7FF:
        return None
    return start[:-1] + chr(ord(start[-1]) + 1)


def head() -> Function[str]:
    """Return what PostgreSQL's index over topics holds, written as the index has it."""
    return func.substr(Message.topic, literal_column("1"), literal_column(str(TOPIC_HEAD)))


def like(topic_filter: str, dialect: str) -> Iterator[ColumnElement[bool]]:
    """Yield conditions that every matching topic meets, each cheap on a topic of any length.

    A few other topics meet them too: `database.topics.matches` has the last word.
    """
    wanted = unshared(topic_filter)
    levels = wanted.split("/")
    begin = prefix(wanted)
    if "+" not in levels and levels[-1] != "#":
        if dialect != "sqlite":
            yield head() == begin[:TOPIC_HEAD]
        yield Message.topic == begin
        return
    if begin:
        yield func.substr(Message.topic, 1, len(begin)) == begin
    elif levels[0] in ("+", "#"):
        yield func.substr(Message.topic, 1, 1) != "$"
    slashes = func.length(Message.topic) - func.length(func.replace(Message.topic, "/", ""))
    if levels[-1] != "#":
        yield slashes == len(levels) - 1
    elif len(levels) > 2:
        yield slashes >= len(levels) - 2
    last = levels[-1]
    if last not in ("+", "#") and "+" in levels:
        yield (
            func.substr(Message.topic, -len(last) - 1) == f"/{last}"
            if (dialect == "sqlite")
            else func.right(Message.topic, len(last) + 1) == f"/{last}"
        )
