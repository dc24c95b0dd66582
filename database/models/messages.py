"""Facts about messages: what came, what could not be stored, how much, what is kept.

Written by the worker, read by the web; no foreign keys, as in `database.models.facts`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Index, Integer, LargeBinary, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base
from database.types import RowId, UTCDateTime

#: Characters of a topic that its index on PostgreSQL holds, where a long one fits no page:
#: `ix_message_topic_head_id` on (substr(topic, 1, 200), id), which only the migrations know.
TOPIC_HEAD = 200


class Message(Base):
    """One received PUBLISH, payload byte for byte. Ids grow with the time of receipt."""

    __tablename__ = "message"

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    connection_id: Mapped[int] = mapped_column(RowId)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    topic: Mapped[str] = mapped_column(Text)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    qos: Mapped[int] = mapped_column(Integer)
    retain: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    dup: Mapped[bool] = mapped_column(Boolean, server_default=text("false"))
    #: MQTT 5 properties by the names of the specification (section 2.2.2.2).
    properties: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))

    __table_args__ = (
        Index("ix_message_connection_id_id", "connection_id", "id"),
        Index("ix_message_topic_id", "topic", "id", info={"only": "sqlite"}),
        {"sqlite_autoincrement": True},
    )


class DeadLetter(Base):
    """A received PUBLISH that the database does not take as a `Message`, and why."""

    __tablename__ = "dead_letter"
    __table_args__ = (
        Index("ix_dead_letter_connection_id_id", "connection_id", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    connection_id: Mapped[int] = mapped_column(RowId)
    received_at: Mapped[datetime] = mapped_column(UTCDateTime)
    #: As it came, which may be no text at all.
    topic: Mapped[bytes] = mapped_column(LargeBinary)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    qos: Mapped[int] = mapped_column(Integer)
    retain: Mapped[bool] = mapped_column(Boolean)
    dup: Mapped[bool] = mapped_column(Boolean)
    #: What was wrong, one sentence.
    problem: Mapped[str] = mapped_column(Text)


class SubscriptionStatus(Base):
    """What came by one Topic Filter since the worker knows it."""

    __tablename__ = "subscription_status"

    subscription_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    connection_id: Mapped[int] = mapped_column(RowId, index=True)
    messages_in: Mapped[int] = mapped_column(RowId, server_default="0")
    last_message_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Since when a message is overdue; null unless `expected_every_s` has passed without one.
    quiet_since: Mapped[datetime | None] = mapped_column(UTCDateTime)


class ConnectionTraffic(Base):
    """What one connection carried in `seconds` from `starts_at` on: minutes and quarter hours.

    `words.ALL_CONNECTIONS` stands for what all of them carried together.
    """

    __tablename__ = "connection_traffic"
    __table_args__ = (Index("ix_connection_traffic_seconds_starts_at", "seconds", "starts_at"),)

    connection_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    seconds: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    starts_at: Mapped[datetime] = mapped_column(UTCDateTime, primary_key=True)
    messages_in: Mapped[int] = mapped_column(RowId)
    bytes_in: Mapped[int] = mapped_column(RowId)
    messages_out: Mapped[int] = mapped_column(RowId)
    bytes_out: Mapped[int] = mapped_column(RowId)
    messages_dropped: Mapped[int] = mapped_column(RowId)
    bytes_dropped: Mapped[int] = mapped_column(RowId)


class MessageTotals(Base):
    """What is kept of one connection's messages, counted now and then."""

    __tablename__ = "message_totals"

    connection_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    messages: Mapped[int] = mapped_column(RowId)
    #: Topics and payloads, without what the database needs around them.
    bytes: Mapped[int] = mapped_column(RowId)
    oldest_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    counted_at: Mapped[datetime] = mapped_column(UTCDateTime)


class UnreleasedMessage(Base):
    """A stored QoS 2 message of a kept session that its broker has not released yet (PUBREL).

    As long as it is here, the same topic and payload under its Packet Identifier is the same
    message, also for a worker that was started after it came.
    """

    __tablename__ = "unreleased_message"
    __table_args__ = ({"sqlite_with_rowid": False},)

    connection_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    packet_identifier: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    #: Of session, topic and payload: eight bytes as a signed number.
    digest: Mapped[int] = mapped_column(RowId)


class IntakeMark(Base):
    """The last batch of messages that a worker process committed.

    Written with the batch: a worker whose COMMIT was not answered learns here whether it
    took effect, and neither loses the batch nor stores it twice.
    """

    __tablename__ = "intake_mark"

    boot_id: Mapped[str] = mapped_column(Text, primary_key=True)
    batch: Mapped[int] = mapped_column(RowId)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
