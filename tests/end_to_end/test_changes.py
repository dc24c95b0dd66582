"""Wishes that reach the worker by every road: import and plain SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.end_to_end.conftest import FLEET, Fleet, records
from tests.end_to_end.product import HOSTNAME
from tests.support.process import wait_until

#: HAWSER_MONITOR_INTERVAL of these tests is 2 s; a row changed by plain SQL waits for that.
ONE_SWEEP = 6.0


def test_an_import_is_followed_within_two_seconds(fleet: Fleet) -> None:
    changed = records(fleet.broker)[:5]
    for record in changed:
        record["is_enabled"] = False
    fleet.product.import_connections(changed)
    wanted = {f"{record['site']}/backend/status": b"offline" for record in changed}
    fleet.observer.wait_for_latest(wanted, 2)
    fleet.product.wait_for_connected(FLEET - 5, 5)


def test_an_import_leaves_the_other_connections_alone(fleet: Fleet) -> None:
    seen = len(fleet.observer.messages)
    changed = records(fleet.broker)[:1]
    changed[0]["keepalive_s"] = 7
    fleet.product.import_connections(changed)
    topic = fleet.topics[0]
    fleet.observer.wait(lambda: len(fleet.observer.messages) >= seen + 2, 5, "a reconnect")
    fleet.product.wait_for_connected(FLEET, 5)
    assert {message.topic for message in fleet.observer.messages[seen:]} == {topic}


def test_plain_sql_is_followed_by_the_next_sweep(fleet: Fleet) -> None:
    topic = fleet.topics[2]
    _sql(fleet, "UPDATE connection SET is_enabled = 0 WHERE name = 'plant-3'")
    fleet.observer.wait_for_latest({topic: b"offline"}, ONE_SWEEP)
    _sql(fleet, "UPDATE connection SET is_enabled = 1 WHERE name = 'plant-3'")
    fleet.observer.wait_for_latest({topic: b"online"}, ONE_SWEEP)


def test_client_ids_are_made_of_site_and_host_name(fleet: Fleet) -> None:
    log = fleet.broker.log()
    wanted = [f"{record['site']}_{HOSTNAME}" for record in records(fleet.broker)]
    assert [name for name in wanted if f" as {name} (" not in log] == []


def test_a_deleted_row_is_stopped(fleet: Fleet) -> None:
    _sql(fleet, "DELETE FROM subscription WHERE connection_id = 1")
    _sql(fleet, "DELETE FROM connection WHERE name = 'plant-1'")
    fleet.observer.wait_for_latest({fleet.topics[0]: b"offline"}, ONE_SWEEP)
    wait_until(lambda: fleet.product.connected() == FLEET - 1, 5, "one connection less")


def _sql(fleet: Fleet, statement: str) -> None:
    with closing(sqlite3.connect(fleet.product.home / "hawser.db", timeout=5)) as database:
        database.execute("PRAGMA foreign_keys=ON")
        database.execute(statement)
        database.commit()
