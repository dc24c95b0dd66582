"""Write what is so about connections: states, events, counters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Table, delete, insert, select, update
from sqlalchemy.engine import Connection as Transaction

from database.clock import database_now
from database.models import Connection, ConnectionEvent, ConnectionStatus, WorkerLease
from database.session import immediate
from mqttworker.core.cause import Cause
from mqttworker.ports.journal import Status, Traffic, Transition
from mqttworker.ports.store.presence import SLOT
from mqttworker.ports.store.upsert import upsert

#: Events older than this are pruned.
KEEP_EVENTS = timedelta(days=30)
#: Rows deleted in one transaction.
PRUNE_SLICE = 5_000

_connection: Table = Connection.__table__  # type: ignore[assignment]
_lease: Table = WorkerLease.__table__  # type: ignore[assignment]
_status: Table = ConnectionStatus.__table__  # type: ignore[assignment]
_event: Table = ConnectionEvent.__table__  # type: ignore[assignment]


class LeaseLostError(Exception):
    """Another worker holds the lease; nothing was written."""


class Facts:
    """The tables about connections that only the holder of the lease writes."""

    def __init__(self, engine: Engine, boot_id: str) -> None:
        self._writer = immediate(engine)
        self._boot_id = boot_id

    def write(self, statuses: Sequence[Status], transitions: Sequence[Transition]) -> None:
        """Write states and the events that led to them. Raises LeaseLostError."""
        with self._writer.begin() as transaction:
            self._check_lease(transaction)
            if statuses:
                upsert(transaction, _status, [self._status_row(status) for status in statuses])
            if transitions:
                transaction.execute(insert(_event), [_event_row(item) for item in transitions])

    def write_traffic(self, traffic: dict[int, Traffic]) -> None:
        """Write the counters of connections that carried something. Raises LeaseLostError."""
        with self._writer.begin() as transaction:
            self._check_lease(transaction)
            for connection_id, counted in traffic.items():
                transaction.execute(
                    update(_status)
                    .where(_status.c.connection_id == connection_id)
                    .values(_traffic_columns(counted))
                )

    def forget_deleted(self) -> None:
        """Remove the states of connections that no longer exist. Raises LeaseLostError."""
        with self._writer.begin() as transaction:
            self._check_lease(transaction)
            exists = select(_connection.c.id)
            transaction.execute(delete(_status).where(_status.c.connection_id.not_in(exists)))

    def prune_events(self) -> None:
        """Delete one slice of events that are older than KEEP_EVENTS."""
        old = database_now(-KEEP_EVENTS.total_seconds())
        ids = select(_event.c.id).where(_event.c.at < old).limit(PRUNE_SLICE)
        with self._writer.begin() as transaction:
            transaction.execute(delete(_event).where(_event.c.id.in_(ids)))

    def _status_row(self, status: Status) -> dict[str, Any]:
        return {
            "connection_id": status.connection_id,
            "boot_id": self._boot_id,
            "state": status.state,
            "since": status.since,
            "attempt": status.attempt,
            "connected_since": status.connected_since,
            "next_attempt_at": status.next_attempt_at,
            "client_id": status.client_id,
            "status_topic": status.status_topic,
            "protocol_negotiated": status.protocol_negotiated,
            "applied_revision": status.applied_revision,
            "updated_at": status.since,
            **_traffic_columns(status.traffic),
            **_reason_columns(status.why),
        }

    def _check_lease(self, transaction: Transaction) -> None:
        """Keep a worker that was frozen or cut off from writing over its successor."""
        holder = transaction.execute(
            select(_lease.c.boot_id).where(_lease.c.slot == SLOT).with_for_update(read=True)
        ).scalar_one_or_none()
        if holder != self._boot_id:
            raise LeaseLostError


def _event_row(item: Transition) -> dict[str, Any]:
    return {
        "connection_id": item.connection_id,
        "at": item.at,
        "state": item.state,
        "previous_state": item.previous_state,
        **_reason_columns(item.why),
    }


def _reason_columns(why: Cause) -> dict[str, Any]:
    return {
        "reason_code": why.code,
        "detail": dict(why.detail) or None,
        "origin": why.origin,
        "certainty": why.certainty,
        "raw_code": why.raw_code,
    }


def _traffic_columns(traffic: Traffic) -> dict[str, Any]:
    return {
        "messages_in": traffic.messages_in,
        "messages_out": traffic.messages_out,
        "bytes_in": traffic.bytes_in,
        "bytes_out": traffic.bytes_out,
        "last_message_at": traffic.last_message_at,
    }
