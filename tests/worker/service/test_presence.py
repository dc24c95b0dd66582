"""The lease, by the clock of the database, on both kinds of database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, select, update

from database.clock import database_now
from database.models import WorkerHeartbeat, WorkerLease
from mqttworker.ports.journal import Beat
from mqttworker.ports.store.presence import Presence

TTL, STALE_AFTER = 5.0, 6.0


def _presence(engine: Engine, boot_id: str) -> Presence:
    return Presence(engine, boot_id)


@pytest.mark.parametrize(("ends_in", "is_free"), [(2.0, False), (-1.0, True), (86_400.0, True)])
def test_a_lease_is_free_when_it_has_ended_or_was_given_before_the_clock_was_set_back(
    engine: Engine, ends_in: float, is_free: bool
) -> None:
    assert _presence(engine, "dead").hold_lease(TTL, STALE_AFTER, None).is_held
    with engine.begin() as transaction:
        transaction.execute(update(WorkerLease).values(expires_at=database_now(ends_in)))
    answer = _presence(engine, "next").hold_lease(TTL, STALE_AFTER, None)
    assert answer.is_held is is_free


def test_two_containers_with_one_host_name_and_process_id_have_a_heartbeat_each(
    engine: Engine,
) -> None:
    beat = Beat(
        *("host-1", "host", 1, "holder", "0.1.0", datetime.now(UTC), "running"),
        hub_lag_ms=0.0,
        rss_bytes=0,
        connections=3,
        connected=3,
    )
    holder, other = _presence(engine, "holder"), _presence(engine, "other")
    holder.beat(beat)
    other.beat(replace(beat, boot_id="other", state="standby", connections=0, connected=0))
    holder.beat(replace(beat, connected=2))
    with engine.connect() as transaction:
        query = select(WorkerHeartbeat.boot_id, WorkerHeartbeat.state, WorkerHeartbeat.connected)
        rows = sorted(tuple(row) for row in transaction.execute(query))
    assert rows == [("holder", "running", 2), ("other", "standby", 0)]
    assert holder.hold_lease(TTL, STALE_AFTER, None).has_standby
