"""A filter with what was looked up for it, as conditions on messages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Integer, func, literal

from database.models import Message
from webapp.messages import topics
from webapp.messages.asking import Filter
from webapp.messages.ids import Range


@dataclass(frozen=True, slots=True)
class Wanted:
    """A filter, looked up: None for what is not asked for."""

    filter: Filter
    among: Range
    connections: Sequence[int] | None
    #: The stored topics that match; None where there are too many to list.
    topics: Sequence[str] | None

    @property
    def pattern(self) -> str:
        """The Topic Filter that is not told by `topics`."""
        return self.filter.topic if self.topics is None else ""

    @property
    def is_plain(self) -> bool:
        """Whether an index alone knows the answer."""
        wanted = self.filter
        if self.pattern or wanted.text or wanted.qos or wanted.retained:
            return False
        return self.connections is None or self.topics is None


def conditions(wanted: Wanted, dialect: str) -> Iterator[ColumnElement[bool]]:
    """Yield what a message must meet; topics that are listed are found by their index."""
    asked = wanted.filter
    if wanted.connections is not None:
        # A sum is in no index: that leaves the one over topics.
        column: Any = Message.connection_id if wanted.topics is None else Message.connection_id + 0
        yield column.in_(wanted.connections)
    if wanted.topics is not None:
        yield on_topics(wanted.topics, dialect)
    elif asked.topic:
        yield from topics.like(asked.topic, dialect)
    if asked.qos:
        yield Message.qos == int(asked.qos)
    if asked.retained:
        yield Message.retain.is_(asked.retained == "yes")
    if asked.text:
        yield _holds(asked.text.encode("utf-8", "replace"), dialect)


def on_topics(found: Sequence[str], dialect: str) -> ColumnElement[bool]:
    """Whether a message is on one of the topics, by the index."""
    key: Any = Message.topic if dialect == "sqlite" else topics.head()
    matched: ColumnElement[bool] = key.in_(found)
    return matched


def _holds(needle: bytes, dialect: str) -> ColumnElement[bool]:
    """Whether the payload holds these bytes."""
    if dialect == "sqlite":
        return func.instr(Message.payload, needle, type_=Integer) > 0
    return func.position(literal(needle).op("IN")(Message.payload), type_=Integer) > 0
