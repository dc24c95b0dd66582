"""All that the worker asks of the database, and the only worker file with SQL.

Every method is one short transaction, may block, and raises SQLAlchemyError; the
service calls them through the hub's threads.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Engine, Table, delete, insert, null, select, type_coerce, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection as Transaction
from sqlalchemy.types import NullType

from database import config_version, encryption, migrate
from database.clock import database_now
from database.models import (
    Connection,
    ConnectionEvent,
    ConnectionStatus,
    Subscription,
    WorkerHeartbeat,
    WorkerLease,
)
from database.session import immediate
from database.words import WorkerState
from mqttworker.core import records
from mqttworker.core.cause import Cause
from mqttworker.core.lease import LeaseAnswer
from mqttworker.core.spec import Record
from mqttworker.ports.journal import Beat, Status, Traffic, Transition

#: One worker runs all connections; several would each hold a slot.
SLOT = 0
#: Heartbeats of processes that are long gone.
KEEP_HEARTBEATS = timedelta(hours=1)
#: Events older than this are pruned.
KEEP_EVENTS = timedelta(days=30)
#: Rows deleted in one transaction.
PRUNE_SLICE = 5_000

_connection: Table = Connection.__table__  # type: ignore[assignment]
_subscription: Table = Subscription.__table__  # type: ignore[assignment]
_lease: Table = WorkerLease.__table__  # type: ignore[assignment]
_heartbeat: Table = WorkerHeartbeat.__table__  # type: ignore[assignment]
_status: Table = ConnectionStatus.__table__  # type: ignore[assignment]
_event: Table = ConnectionEvent.__table__  # type: ignore[assignment]

_RawRow = tuple[Any, ...]


class LeaseLostError(Exception):
    """Another worker holds the lease; nothing was written."""


class Store:
    """The database as one worker process sees it."""

    def __init__(self, engine: Engine, *, boot_id: str, hostname: str) -> None:
        self._engine = engine
        self._writer = immediate(engine)
        self._boot_id = boot_id
        self._hostname = hostname
        self._parsed: dict[int, tuple[tuple[_RawRow, ...], Record]] = {}

    # --- schema and wishes

    def schema_problem(self) -> str | None:
        """Say in one sentence why the database cannot be used yet, or None."""
        return migrate.problem(self._engine)

    def config_version(self) -> int:
        """Return the number that moves with every wish."""
        with self._engine.connect() as transaction:
            return config_version.read(transaction)

    def load_records(self) -> dict[int, Record]:
        """Return all enabled connections by id, the unusable ones with their flaw.

        A row that did not change since the last call is not parsed again.
        """
        with self._engine.connect() as transaction:
            rows = transaction.execute(_raw(_connection).where(_connection.c.is_enabled)).all()
            related = transaction.execute(_raw(_subscription).order_by(_subscription.c.id)).all()
        subscriptions = defaultdict(list)
        for item in related:
            subscriptions[item.connection_id].append(item)
        before, self._parsed = self._parsed, {}
        for row in rows:
            own = subscriptions[row.id]
            raw = (tuple(row), *map(tuple, own))
            known = before.get(row.id)
            record = known[1] if known and known[0] == raw else self._parse(row, own)
            self._parsed[row.id] = (raw, record)
        return records.without_rivals(record for _, record in self._parsed.values())

    def _parse(self, row: Any, subscriptions: Iterable[Any]) -> Record:
        return records.parse(
            row._mapping,
            [item._mapping for item in subscriptions],
            hostname=self._hostname,
            decrypt=encryption.decrypt,
        )

    # --- facts about connections

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

    # --- heartbeat

    def beat(self, beat: Beat) -> None:
        """Write the heartbeat by the database's clock."""
        row = {
            "worker_id": beat.worker_id,
            "hostname": beat.hostname,
            "pid": beat.pid,
            "boot_id": beat.boot_id,
            "version": beat.version,
            "started_at": beat.started_at,
            "state": WorkerState(beat.state),
            "hub_lag_ms": beat.hub_lag_ms,
            "rss_bytes": beat.rss_bytes,
            "connections": beat.connections,
            "connected": beat.connected,
        }
        statement = _upsert_statement(self._engine.dialect.name, _heartbeat)
        now = database_now()
        with self._writer.begin() as transaction:
            transaction.execute(
                statement.values({**row, "beat_at": now}).on_conflict_do_update(
                    index_elements=["worker_id"], set_={**row, "beat_at": now}
                )
            )

    def prune_heartbeats(self) -> None:
        """Delete the heartbeats of processes that are long gone."""
        old = database_now(-KEEP_HEARTBEATS.total_seconds())
        with self._writer.begin() as transaction:
            transaction.execute(delete(_heartbeat).where(_heartbeat.c.beat_at < old))

    # --- lease

    def hold_lease(self, ttl: float, stale_after: float, lock_token: str | None) -> LeaseAnswer:
        """Renew the lease, or take it if it is free, run out, or left by a dead neighbour.

        `lock_token` names the lock file that this process holds; the previous holder of
        the same lock is dead for certain. All times are the database's.
        """
        with self._writer.begin() as transaction:
            row = transaction.execute(
                select(
                    _lease.c.boot_id,
                    _lease.c.epoch,
                    _lease.c.lock_token,
                    (_lease.c.expires_at <= database_now()).label("has_expired"),
                )
                .where(_lease.c.slot == SLOT)
                .with_for_update()
            ).one_or_none()
            standby = self._has_standby(transaction, stale_after)
            if row is None:
                return self._first_lease(transaction, ttl, lock_token, standby)
            is_mine = row.boot_id == self._boot_id
            is_orphaned = lock_token is not None and row.lock_token == lock_token
            if not (is_mine or row.has_expired or is_orphaned):
                return LeaseAnswer(is_held=False, epoch=row.epoch, has_standby=standby)
            epoch = row.epoch if is_mine else row.epoch + 1
            transaction.execute(
                update(_lease)
                .where(_lease.c.slot == SLOT)
                .values(
                    boot_id=self._boot_id,
                    epoch=epoch,
                    expires_at=database_now(ttl),
                    lock_token=lock_token,
                )
            )
            return LeaseAnswer(is_held=True, epoch=epoch, has_standby=standby)

    def release_lease(self) -> None:
        """Let the next worker take over at once."""
        with self._writer.begin() as transaction:
            transaction.execute(
                update(_lease)
                .where(_lease.c.slot == SLOT, _lease.c.boot_id == self._boot_id)
                .values(expires_at=database_now(), lock_token=null())
            )

    def _first_lease(
        self, transaction: Transaction, ttl: float, lock_token: str | None, standby: bool
    ) -> LeaseAnswer:
        statement = _upsert_statement(self._engine.dialect.name, _lease)
        row = {
            "slot": SLOT,
            "boot_id": self._boot_id,
            "epoch": 1,
            "expires_at": database_now(ttl),
            "lock_token": lock_token,
        }
        inserted = transaction.execute(statement.values(row).on_conflict_do_nothing())
        return LeaseAnswer(is_held=inserted.rowcount == 1, epoch=1, has_standby=standby)

    def _has_standby(self, transaction: Transaction, stale_after: float) -> bool:
        found = transaction.execute(
            select(_heartbeat.c.boot_id)
            .where(
                _heartbeat.c.state == WorkerState.STANDBY,
                _heartbeat.c.boot_id != self._boot_id,
                _heartbeat.c.beat_at > database_now(-stale_after),
            )
            .limit(1)
        )
        return found.first() is not None

    def _check_lease(self, transaction: Transaction) -> None:
        """Keep a worker that was frozen or cut off from writing over its successor."""
        holder = transaction.execute(
            select(_lease.c.boot_id).where(_lease.c.slot == SLOT).with_for_update(read=True)
        ).scalar_one_or_none()
        if holder != self._boot_id:
            raise LeaseLostError(self.__doc__)


def _raw(table: Table) -> Any:
    """Select every column as the driver gives it: no conversion can fail on bad values."""
    return select(*(type_coerce(column, NullType()).label(column.name) for column in table.c))


def _upsert_statement(dialect: str, table: Table) -> Any:
    return (postgresql if dialect == "postgresql" else sqlite).insert(table)


def upsert(transaction: Transaction, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert `rows`, all with the same columns, or overwrite those with the same key."""
    statement = _upsert_statement(transaction.dialect.name, table)
    keys = [column.name for column in table.primary_key]
    others = {name: statement.excluded[name] for name in rows[0] if name not in keys}
    transaction.execute(statement.on_conflict_do_update(index_elements=keys, set_=others), rows)


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
