"""What came by each subscription of a connection, and which expected messages do not come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import select

from database.models import Subscription, SubscriptionStatus
from webapp import columns


@dataclass(frozen=True, slots=True)
class Heard:
    """One subscription as it is now."""

    topic_filter: Any
    qos: Any
    is_enabled: bool
    #: A message is expected at least every so many seconds; 0 expects none.
    every_s: int
    messages_in: int
    last_message_at: datetime | None
    #: Since when a message is overdue, None while none is.
    quiet_since: datetime | None


def read(transaction: Transaction, connection_id: int) -> list[Heard]:
    """Return the subscriptions of a connection in the order they were added."""
    wish, fact = Subscription, SubscriptionStatus
    query = (
        select(
            *(columns.raw(getattr(wish, name)) for name in ("topic_filter", "qos")),
            *(columns.raw(getattr(wish, name)) for name in ("is_enabled", "expected_every_s")),
            columns.raw(fact.messages_in),
            columns.time(fact.last_message_at),
            columns.time(fact.quiet_since),
        )
        .outerjoin_from(wish, fact, fact.subscription_id == wish.id)
        .where(wish.connection_id == connection_id)
        .order_by(wish.id)
    )
    return [_heard(row) for row in transaction.execute(query)]


def _heard(row: Any) -> Heard:
    every = columns.count(row.expected_every_s)
    return Heard(
        row.topic_filter,
        row.qos,
        bool(row.is_enabled),
        every,
        columns.count(row.messages_in),
        row.last_message_at,
        row.quiet_since if every and row.is_enabled else None,
    )
