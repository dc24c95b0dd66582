"""What is read for the picture of `overview`: records joined with what is known of them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from database.models import Connection, ConnectionStatus
from webapp import columns

_RECORD_COLUMNS = ("id", "name", "site", "host", "port", "revision")
_STATUS_COLUMNS = (
    "boot_id",
    "state",
    "reason_code",
    "origin",
    "certainty",
    "raw_code",
    "attempt",
    "protocol_negotiated",
    "keepalive_s",
    "round_trip_ms",
    "applied_revision",
    "messages_in",
    "messages_dropped",
    "bytes_dropped",
    "messages_set_aside",
)


def statement() -> Any:
    """One joined query of the columns that pages show: no ORM objects, no secrets."""
    record, status = Connection, ConnectionStatus
    return select(
        *(columns.raw(getattr(record, name)) for name in _RECORD_COLUMNS),
        columns.raw(record.is_enabled),
        columns.raw(record.client_id),
        columns.raw(record.status_topic),
        columns.time(record.updated_at),
        *(columns.raw(getattr(status, name)) for name in _STATUS_COLUMNS),
        columns.json_object(status.detail),
        columns.time(status.since),
        columns.time(status.connected_since),
        columns.time(status.down_since),
        columns.raw(status.was_connected),
        columns.time(status.broker_cert_expires_at),
        columns.time(status.next_attempt_at),
        columns.time(status.last_message_at),
        columns.raw(status.client_id).label("client_id_used"),
        columns.raw(status.status_topic).label("status_topic_used"),
    ).outerjoin_from(record, status, status.connection_id == record.id)
