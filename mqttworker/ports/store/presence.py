"""Who is there and who is in charge: the heartbeat and the lease."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Engine, Table, delete, not_, null, select, update
from sqlalchemy.engine import Connection as Transaction

from database.clock import database_now
from database.models import WorkerHeartbeat, WorkerLease
from database.session import immediate
from database.words import WorkerState
from mqttworker.core.lease import LeaseAnswer
from mqttworker.ports.journal import Beat
from mqttworker.ports.store.lease_check import SLOT, check_lease
from mqttworker.ports.store.upsert import upsert_statement

#: Heartbeats of processes that are long gone.
KEEP_HEARTBEATS = timedelta(hours=1)

_lease: Table = WorkerLease.__table__  # type: ignore[assignment]
_heartbeat: Table = WorkerHeartbeat.__table__  # type: ignore[assignment]


class Presence:
    """The tables in which workers tell each other, and the web, of themselves."""

    def __init__(self, engine: Engine, boot_id: str) -> None:
        self._engine = engine
        self._writer = immediate(engine)
        self._boot_id = boot_id

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
            "messages_waiting": beat.waiting.messages,
            "bytes_waiting": beat.waiting.bytes,
            "waiting_since": beat.waiting.since,
            "intake_problem": beat.waiting.problem,
        }
        statement = upsert_statement(self._engine.dialect.name, _heartbeat)
        now = database_now()
        with self._writer.begin() as transaction:
            transaction.execute(
                statement.values({**row, "beat_at": now}).on_conflict_do_update(
                    index_elements=["boot_id"], set_={**row, "beat_at": now}
                )
            )

    def prune_heartbeats(self) -> None:
        """Delete the heartbeats of processes that are long gone. Raises LeaseLostError."""
        old = database_now(-KEEP_HEARTBEATS.total_seconds())
        with self._writer.begin() as transaction:
            transaction.execute(delete(_heartbeat).where(_heartbeat.c.beat_at < old))
            check_lease(transaction, self._boot_id)

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
                    # Nobody was given a lease that long: the database's clock was set back.
                    not_(_lease.c.expires_at.between(database_now(), database_now(2 * ttl))).label(
                        "has_expired"
                    ),
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
        statement = upsert_statement(self._engine.dialect.name, _lease)
        row = {
            "slot": SLOT,
            "boot_id": self._boot_id,
            "epoch": 1,
            "expires_at": database_now(ttl),
            "lock_token": lock_token,
        }
        insert = statement.values(row).on_conflict_do_nothing().returning(_lease.c.slot)
        inserted = transaction.execute(insert).first()
        return LeaseAnswer(is_held=inserted is not None, epoch=1, has_standby=standby)

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
