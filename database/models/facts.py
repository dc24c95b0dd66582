"""Facts: what is so. Written by the worker, read by the web.

No foreign keys to `connection`: a fact outlives an edit, and the worker must be able
to write about a record that was deleted a moment ago.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Boolean, Float, Index, Integer, Text, func
from sqlalchemy.orm import Mapped, mapped_column

from database.base import Base
from database.types import RowId, UTCDateTime, Word
from database.words import Certainty, CommandState, ConnectionState, Origin, WorkerState


class ReasonColumns:
    """Why a state was entered: a code of `database.reasons` and what fills its sentence."""

    reason_code: Mapped[str] = mapped_column(Text)
    detail: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    origin: Mapped[Origin] = mapped_column(Word(Origin))
    certainty: Mapped[Certainty] = mapped_column(Word(Certainty))
    #: The CONNACK, DISCONNECT or SUBACK code on the wire, or an errno.
    raw_code: Mapped[int | None] = mapped_column(Integer)


class ConnectionStatus(ReasonColumns, Base):
    """The state of one connection as its worker last knew it (one row a connection)."""

    __tablename__ = "connection_status"

    connection_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    #: The worker process that wrote the row.
    boot_id: Mapped[str] = mapped_column(Text)
    state: Mapped[ConnectionState] = mapped_column(Word(ConnectionState))
    since: Mapped[datetime] = mapped_column(UTCDateTime)
    connected_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Tries since the last stable connection.
    attempt: Mapped[int] = mapped_column(Integer, server_default="0")
    next_attempt_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: The Client Identifier and status topic with the template filled in.
    client_id: Mapped[str | None] = mapped_column(Text)
    status_topic: Mapped[str | None] = mapped_column(Text)
    protocol_negotiated: Mapped[str | None] = mapped_column(Text)
    #: The broker that `auto` found to want 3.1.1, and why: `mqttworker.core.fallback`.
    version_fallback: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    #: The Keep Alive in force, seconds: ours, or what the broker set instead.
    keepalive_s: Mapped[int | None] = mapped_column(Integer)
    #: When the last session was lost, or the first try failed; null while a session exists.
    #: Edits and other workers leave it as it is.
    down_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Whether there ever was a session; null where a worker wrote that did not note it.
    was_connected: Mapped[bool | None] = mapped_column(Boolean)
    #: How long the last self-ping took, milliseconds.
    round_trip_ms: Mapped[float | None] = mapped_column(Float)
    #: Of the certificate that the broker presented last.
    broker_cert_subject: Mapped[str | None] = mapped_column(Text)
    broker_cert_expires_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: SHA-256 of the certificates that verified it, hexadecimal, its own first, blanks between.
    verified_chain: Mapped[str | None] = mapped_column(Text)
    #: `connection.revision` that this state belongs to.
    applied_revision: Mapped[int | None] = mapped_column(Integer)
    #: Whether the broker had kept the session (CONNACK's Session Present); null without one.
    session_present: Mapped[bool | None] = mapped_column(Boolean)
    messages_in: Mapped[int] = mapped_column(RowId, server_default="0")
    messages_out: Mapped[int] = mapped_column(RowId, server_default="0")
    bytes_in: Mapped[int] = mapped_column(RowId, server_default="0")
    bytes_out: Mapped[int] = mapped_column(RowId, server_default="0")
    #: QoS 0 messages that came while the intake was full.
    messages_dropped: Mapped[int] = mapped_column(RowId, server_default="0")
    bytes_dropped: Mapped[int] = mapped_column(RowId, server_default="0")
    #: Messages that went to `dead_letter`.
    messages_set_aside: Mapped[int] = mapped_column(RowId, server_default="0")
    last_message_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    updated_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=func.now())


class ConnectionEvent(ReasonColumns, Base):
    """One transition of one connection."""

    __tablename__ = "connection_event"
    __table_args__ = (
        Index("ix_connection_event_connection_id_id", "connection_id", "id"),
        Index("ix_connection_event_at", "at"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    connection_id: Mapped[int] = mapped_column(RowId)
    at: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[ConnectionState] = mapped_column(Word(ConnectionState))
    previous_state: Mapped[ConnectionState | None] = mapped_column(Word(ConnectionState))
    #: Whether it only repeats the event before it (`database.repetitions`); null where the
    #: worker that wrote it noted nothing.
    is_repetition: Mapped[bool | None] = mapped_column(Boolean)


class WorkerHeartbeat(Base):
    """What a worker process says of itself, every HAWSER_HEARTBEAT_INTERVAL seconds.

    One row a start of a process, which stays for an hour after its end.
    """

    __tablename__ = "worker_heartbeat"

    #: Host name and process id; two containers may have both in common.
    worker_id: Mapped[str] = mapped_column(Text)
    hostname: Mapped[str] = mapped_column(Text)
    pid: Mapped[int] = mapped_column(Integer)
    #: Random, new with every start of the process.
    boot_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(Text)
    started_at: Mapped[datetime] = mapped_column(UTCDateTime)
    #: By the database's clock, so that readers on other machines can compare.
    beat_at: Mapped[datetime] = mapped_column(UTCDateTime)
    state: Mapped[WorkerState] = mapped_column(Word(WorkerState))
    #: Longest stall of the hub since the last beat, milliseconds.
    hub_lag_ms: Mapped[float] = mapped_column(Float, server_default="0")
    rss_bytes: Mapped[int] = mapped_column(RowId, server_default="0")
    connections: Mapped[int] = mapped_column(Integer, server_default="0")
    connected: Mapped[int] = mapped_column(Integer, server_default="0")
    #: Received messages that wait to be stored, and since when the oldest of them does.
    messages_waiting: Mapped[int] = mapped_column(RowId, server_default="0")
    bytes_waiting: Mapped[int] = mapped_column(RowId, server_default="0")
    waiting_since: Mapped[datetime | None] = mapped_column(UTCDateTime)
    #: Why they wait: a code of `database.reasons`; null while they are stored as they come.
    intake_problem: Mapped[str | None] = mapped_column(Text)


class WorkerLease(Base):
    """Who runs the connections. A worker may open connections only while it holds this."""

    __tablename__ = "worker_lease"

    slot: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    boot_id: Mapped[str] = mapped_column(Text)
    #: Grows with every change of owner (fencing token).
    epoch: Mapped[int] = mapped_column(RowId, server_default="1")
    #: By the database's clock.
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    #: Names the lock file that the holder keeps locked; whoever holds the same lock knows it died.
    lock_token: Mapped[str | None] = mapped_column(Text)


class WriteMark(Base):
    """The last batch of events or counters that a worker process committed.

    Written with the batch: one whose COMMIT was not answered is tried again, and must not be
    written twice. Messages have `intake_mark`.
    """

    __tablename__ = "write_mark"

    boot_id: Mapped[str] = mapped_column(Text, primary_key=True)
    #: events, traffic
    kind: Mapped[str] = mapped_column(Text, primary_key=True)
    batch: Mapped[int] = mapped_column(RowId)
    at: Mapped[datetime] = mapped_column(UTCDateTime)


class CommandResult(Base):
    """What became of a `Command`."""

    __tablename__ = "command_result"

    command_id: Mapped[int] = mapped_column(RowId, primary_key=True, autoincrement=False)
    #: The worker process that took it; if that is gone, nobody will finish it.
    boot_id: Mapped[str | None] = mapped_column(Text)
    state: Mapped[CommandState] = mapped_column(Word(CommandState))
    #: What the kind yields, for example the timed steps of a test.
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    accepted_at: Mapped[datetime] = mapped_column(UTCDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
