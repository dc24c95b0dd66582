"""The lease, by the clock of the database, on both kinds of database."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine, update

from database.clock import database_now
from database.models import WorkerLease
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
