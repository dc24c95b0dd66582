"""What is kept of messages, as the worker counted it, and for how long and how much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from sqlalchemy import Connection as Transaction
from sqlalchemy import select

from database.keeping import Limits, Own
from database.models import Connection, MessageTotals
from webapp import columns
from webapp.settings import WebSettings
from webapp.wording import texts


@dataclass(frozen=True, slots=True)
class Item:
    """What is kept of one connection."""

    id: int
    #: None for a connection that was deleted.
    name: str | None
    own: Own
    messages: int = 0
    bytes: int = 0
    oldest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kept:
    """What is kept of all connections, those with most first."""

    limits: Limits
    items: Sequence[Item]
    #: When it was counted; None if it never was.
    counted_at: datetime | None

    @property
    def messages(self) -> int:
        """Messages of all connections."""
        return sum(item.messages for item in self.items)

    @property
    def bytes(self) -> int:
        """Bytes of their topics and payloads."""
        return sum(item.bytes for item in self.items)

    @property
    def oldest_at(self) -> datetime | None:
        """When the oldest message of all came."""
        return min((item.oldest_at for item in self.items if item.oldest_at), default=None)

    @property
    def shown(self) -> list[Item]:
        """The connections that have messages or limits of their own."""
        return [item for item in self.items if item.messages or item.own != Own()]

    def item(self, connection_id: int) -> Item:
        """Return what is kept of one connection."""
        found = (item for item in self.items if item.id == connection_id)
        return next(found, Item(connection_id, None, Own()))

    def age_words(self, item: Item) -> str:
        """Return for how long messages of a connection are kept."""
        if item.name is None:
            return str(_("not at all: the connection was deleted"))
        if item.own.days:
            return str(_("for %(time)s", time=texts.count(item.own.days, "day")))
        days = texts.count(self.limits.days, "day")
        return str(_("for %(time)s, as the installation", time=days))

    def size_words(self, item: Item) -> str:
        """Return how much is kept of a connection."""
        if item.name is None:
            return str(_("nothing"))
        every = texts.size(self.limits.bytes)
        if not item.own.bytes:
            return str(_("%(size)s for all connections together", size=every))
        return str(
            _(
                "%(size)s, within %(limit)s for all connections together",
                size=texts.size(item.own.bytes),
                limit=every,
            )
        )

    @property
    def share(self) -> str:
        """Return how much of the installation's limit is used."""
        return texts.percent(100 * self.bytes / self.limits.bytes)


def read(transaction: Transaction, settings: WebSettings, only: int | None = None) -> Kept:
    """Return what the worker counted last, of `only` one connection if given."""
    names, own = _records(transaction, only)
    total, counted = MessageTotals, {}
    query = select(
        *map(columns.raw, (total.connection_id, total.messages, total.bytes)),
        *map(columns.time, (total.oldest_at, total.counted_at)),
    )
    if only is not None:
        query = query.where(total.connection_id == only)
    for row in transaction.execute(query):
        counted[row.connection_id] = row
    items = [_item(key, names, own, counted.get(key)) for key in names.keys() | counted.keys()]
    items.sort(key=lambda item: (-item.bytes, str(item.name or "").lower(), item.id))
    limits = Limits(settings.message_keep_days, settings.message_keep_mb, own)
    counted_at = max((row.counted_at for row in counted.values() if row.counted_at), default=None)
    return Kept(limits, items, counted_at)


def _records(transaction: Transaction, only: int | None) -> tuple[dict[int, str], dict[int, Own]]:
    """Return names and limits of the connections that there are."""
    record = Connection
    query = select(
        columns.raw(record.id),
        columns.words(record.name),
        *map(columns.raw, (record.keep_messages_days, record.keep_messages_mb)),
    )
    if only is not None:
        query = query.where(record.id == only)
    names: dict[int, str] = {}
    own: dict[int, Own] = {}
    for row in transaction.execute(query):
        names[row.id] = row.name or ""
        own[row.id] = Own.read(row.keep_messages_days, row.keep_messages_mb)
    return names, own


def _item(key: int, names: dict[int, str], own: dict[int, Own], row: Any) -> Item:
    item = Item(key, names.get(key), own.get(key, Own()))
    if row is None:
        return item
    messages, octets = columns.count(row.messages), columns.count(row.bytes)
    return Item(item.id, item.name, item.own, messages, octets, row.oldest_at)
