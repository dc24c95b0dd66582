"""Write what is so about connections: states, events, counters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Engine,
    Row,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    case,
    delete,
    insert,
    or_,
    select,
    update,
)

from database.clock import database_now
from database.models import (
    Connection,
    ConnectionEvent,
    ConnectionStatus,
    WorkerHeartbeat,
    WriteMark,
)
from database.session import immediate
from database.words import UP_STATES, ConnectionState
from mqttworker.core import fallback
from mqttworker.core.cause import Cause, cause
from mqttworker.ports.journal import Status, Traffic, Transition
from mqttworker.ports.store.lease_check import check_lease
from mqttworker.ports.store.marks import claim
from mqttworker.ports.store.upsert import upsert

_connection: Table = Connection.__table__  # type: ignore[assignment]
_status: Table = ConnectionStatus.__table__  # type: ignore[assignment]
_event: Table = ConnectionEvent.__table__  # type: ignore[assignment]
_heartbeat: Table = WorkerHeartbeat.__table__  # type: ignore[assignment]
_mark: Table = WriteMark.__table__  # type: ignore[assignment]

#: Named one by one: what only plain SQL can write is no word of ours, and not read.
_NOT_DISABLED = tuple(state for state in ConnectionState if state is not ConnectionState.DISABLED)
_NOT_DOWN = sorted({*UP_STATES, ConnectionState.DISABLED})


class Facts:
    """The tables about connections that only the holder of the lease writes."""

    def __init__(self, engine: Engine, boot_id: str) -> None:
        self._writer = immediate(engine)
        self._boot_id = boot_id
        self._mark_key = {"boot_id": boot_id, "kind": "events"}

    def write(
        self,
        statuses: Sequence[Status],
        transitions: Sequence[Transition],
        batch: int | None = None,
    ) -> None:
        """Write states and the events that led to them. Raises LeaseLostError.

        `batch` numbers the events, from 1 up: those of a COMMIT whose answer was lost are not
        written again under the same number.
        """
        with self._writer.begin() as transaction:
            if (
                transitions
                and batch is not None
                and not claim(transaction, _mark, self._mark_key, batch)
            ):
                transitions = ()
            if statuses:
                # In one order, whoever writes: two transactions must not wait for each other.
                ordered = sorted(statuses, key=lambda status: status.connection_id)
                rows = [self._status_row(status) for status in ordered]
                upsert(transaction, _status, rows, _over_restarts)
            if transitions:
                transaction.execute(insert(_event), [_event_row(item) for item in transitions])
            check_lease(transaction, self._boot_id)

    def forget_deleted(self) -> None:
        """Remove the states of connections that no longer exist. Raises LeaseLostError."""
        with self._writer.begin() as transaction:
            exists = select(_connection.c.id)
            transaction.execute(delete(_status).where(_status.c.connection_id.not_in(exists)))
            check_lease(transaction, self._boot_id)

    def note_lost_sessions(self) -> int:
        """Say of every session that another worker left behind that nobody looks after it.

        Returns how many there were. Raises LeaseLostError.
        """
        with self._writer.begin() as transaction:
            left = [_lost(row) for row in transaction.execute(_left_behind(self._boot_id))]
            if left:
                transaction.execute(insert(_event), left)
                ended = [{"id_": each["connection_id"], "at_": each["at"]} for each in left]
                transaction.execute(_no_longer_up(self._boot_id), ended)
            check_lease(transaction, self._boot_id)
        return len(left)

    def note_disabled(self) -> None:
        """Say of records that were disabled while no worker ran that they are.

        Their last state would stand for ever. For a time when nothing is connected yet.
        Raises LeaseLostError.
        """
        with self._writer.begin() as transaction:
            moment = database_now().label("at")
            query: Select[Any] = select(_status.c.connection_id, _status.c.state, moment)
            left = [_disabled(row) for row in transaction.execute(query.where(_say_otherwise()))]
            if left:
                transaction.execute(insert(_event), left)
                transaction.execute(_now_disabled())
            check_lease(transaction, self._boot_id)

    def _status_row(self, status: Status) -> dict[str, Any]:
        return {
            "connection_id": status.connection_id,
            "boot_id": self._boot_id,
            "state": status.state,
            "since": status.since,
            "attempt": status.attempt,
            "connected_since": status.connected_since,
            "down_since": status.down_since,
            "was_connected": status.was_connected,
            "next_attempt_at": status.next_attempt_at,
            "client_id": status.client_id,
            "status_topic": status.status_topic,
            "protocol_negotiated": status.protocol_negotiated,
            "version_fallback": fallback.to_json(status.version_fallback),
            "keepalive_s": status.keepalive_s,
            "session_present": status.session_present,
            "broker_cert_subject": status.broker_cert_subject,
            "broker_cert_expires_at": status.broker_cert_expires_at,
            "verified_chain": status.verified_chain,
            "applied_revision": status.applied_revision,
            **traffic_columns(status.traffic),
            **_reason_columns(status.why),
        }


def _over_restarts(new: Any) -> dict[str, Any]:
    """Return what of the time before a worker or a record was restarted still holds."""
    old = _status.c
    # An IN would be no constant text for many rows.
    is_down = and_(*(new.state != state for state in _NOT_DOWN))
    # Who had a session since then knows better.
    goes_on = is_down & ~new.was_connected & old.down_since.is_not(None)
    return {
        "updated_at": database_now(),
        "down_since": case((goes_on, old.down_since), else_=new.down_since),
        "was_connected": new.was_connected | old.was_connected,
    }


def _left_behind(boot_id: str) -> Select[Any]:
    """Select the sessions of workers other than `boot_id`, and when those were last heard of."""
    return (
        select(
            _status.c.connection_id,
            _status.c.state,
            _status.c.updated_at,
            _heartbeat.c.beat_at,
        )
        .outerjoin_from(_status, _heartbeat, _heartbeat.c.boot_id == _status.c.boot_id)
        .where(_status.c.boot_id != boot_id, _status.c.state.in_(UP_STATES))
    )


def _lost(row: Row[Any]) -> dict[str, Any]:
    """Return the event that ends the session of `row` when its worker was last heard of."""
    at = max(moment for moment in (row.updated_at, row.beat_at) if moment)
    why = cause("worker_died", at=f"{at:%Y-%m-%d %H:%M:%S} UTC")
    return _event_row(Transition(row.connection_id, at, ConnectionState.PENDING, row.state, why))


def _no_longer_up(boot_id: str) -> Update:
    """Let no second worker report these sessions again."""
    return (
        update(_status)
        .where(
            _status.c.connection_id == bindparam("id_"),
            _status.c.boot_id != boot_id,
            or_(*(_status.c.state == state for state in UP_STATES)),
        )
        .values(
            state=ConnectionState.PENDING,
            since=bindparam("at_"),
            connected_since=None,
            down_since=bindparam("at_"),
            **_reason_columns(cause("worker_died")),
        )
    )


def _say_otherwise() -> ColumnElement[bool]:
    """Tell states of records that are not wanted, and do not say so."""
    unwanted = select(_connection.c.id).where(~_connection.c.is_enabled)
    return _status.c.connection_id.in_(unwanted) & _status.c.state.in_(_NOT_DISABLED)


def _now_disabled() -> Update:
    return (
        update(_status)
        .where(_say_otherwise())
        .values(
            state=ConnectionState.DISABLED,
            since=database_now(),
            connected_since=None,
            down_since=None,
            next_attempt_at=None,
            **_reason_columns(cause("disabled")),
        )
    )


def _disabled(row: Row[Any]) -> dict[str, Any]:
    why = cause("disabled")
    return _event_row(
        Transition(row.connection_id, row.at, ConnectionState.DISABLED, row.state, why)
    )


def _event_row(item: Transition) -> dict[str, Any]:
    return {
        "connection_id": item.connection_id,
        "at": item.at,
        "state": item.state,
        "previous_state": item.previous_state,
        "is_repetition": item.is_repetition,
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


def traffic_columns(traffic: Traffic) -> dict[str, Any]:
    """Return the columns of `connection_status` that count."""
    return {
        "messages_in": traffic.messages_in,
        "messages_out": traffic.messages_out,
        "bytes_in": traffic.bytes_in,
        "bytes_out": traffic.bytes_out,
        "messages_dropped": traffic.messages_dropped,
        "bytes_dropped": traffic.bytes_dropped,
        "messages_set_aside": traffic.messages_set_aside,
        "last_message_at": traffic.last_message_at,
        "round_trip_ms": traffic.round_trip_ms,
    }
