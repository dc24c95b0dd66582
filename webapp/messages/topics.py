"""Which stored topics a Topic Filter matches, by jumps over the index from topic to topic.

Where no topic can match for a while, as below `a/b/` for `+/c/#`, a jump leaves it all behind.
"""

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
#: Topics that one statement lists: few where the next jump may be far, else more and more.
_FEW, _MOST = 8, 512

_WALK = """
WITH RECURSIVE walk(topic, number) AS (
    SELECT (SELECT {key} FROM message WHERE {key} >= :start ORDER BY {key} LIMIT 1), 1
    UNION ALL
    SELECT (SELECT {key} FROM message WHERE {key} > walk.topic ORDER BY {key} LIMIT 1), number + 1
    FROM walk WHERE topic IS NOT NULL AND number < :most
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
    """Return the stored topics that match, or None where they are too many to list in time."""
    wanted, dialect = unshared(topic_filter), transaction.dialect.name
    if "+" not in wanted and not wanted.endswith("#"):
        return [wanted] if is_whole(wanted, dialect) else None
    if wanted == "#":
        return None
    try:
        with limited(transaction, deadline - time.monotonic()):
            return _walk(transaction, wanted, deadline)
    except TooLongError:
        return None


def _walk(transaction: Transaction, topic_filter: str, deadline: float) -> list[str] | None:
    dialect = transaction.dialect.name
    statement = text(_WALK.format(key=key(dialect)))
    found: list[str] = []
    start: str | None = prefix(topic_filter)
    most = _FEW
    while start is not None and time.monotonic() < deadline:
        if dialect != "sqlite":
            start = start[:TOPIC_HEAD]
        values = {"start": start, "most": most}
        some = [_plain(each) for each in transaction.scalars(statement, values)]
        if not all(is_whole(topic, dialect) for topic in some):
            return None
        matched = [topic for topic in some if matches(topic_filter, topic)]
        found += matched
        if len(found) > MANY:
            return None
        if len(some) < most:
            return found
        start = beyond(topic_filter, some[-1])
        jumps = start != _next(some[-1]) and 2 * len(matched) < len(some)
        most = _FEW if jumps else min(2 * most, _MOST)
    return found if start is None else None


def beyond(topic_filter: str, topic: str) -> str | None:
    """Return the first text after `topic` from which on topics may match; None at the end.

    Between a level and those below it lie other topics: `a`, `a-b`, `a/b`, for `-` is less than
    `/`. So all that begin with `a/` are left behind at `a0`, the next character after `/`.
    """
    levels, names = topic_filter.split("/"), topic.split("/")
    for at, level in enumerate(levels):
        if level == "#" or at >= len(names):
            return _next(topic)
        if level in ("+", names[at]):
            continue
        above = "".join(f"{name}/" for name in names[:at])
        for target in (above + level, f"{above}{level}/"):
            if target > topic:
                return target
        return _behind(above)
    return (
        _next(topic) if len(names) == len(levels) else _behind("/".join(names[: len(levels)]) + "/")
    )


def _behind(above: str) -> str | None:
    """Return the first text after all that begin with `above`, which ends with a slash."""
    return f"{above[:-1]}0" if above else None


def _next(topic: str) -> str:
    """Return the first text after a topic that may be one: no topic holds a NUL."""
    return f"{topic}\x01"


def _plain(topic: object) -> str:
    return topic.decode("utf-8", "replace") if isinstance(topic, bytes) else str(topic)


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
