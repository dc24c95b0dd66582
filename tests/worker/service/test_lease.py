"""A worker that nobody can have replaced goes on while its database is silent."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import gevent
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import make_url

from database.session import make_engine
from database.words import CommandState
from mqttworker.adapters.fake_broker import FakeBroker
from mqttworker.adapters.fake_transport import FakeTransport
from mqttworker.adapters.lockfile import LockFile
from mqttworker.ports.store import Commands, Presence
from mqttworker.service import lease, testing
from mqttworker.service.commands import CommandRunner
from mqttworker.service.context import Clock
from mqttworker.service.lease import LeaseKeeper
from mqttworker.service.shared_logins import SharedLogins
from mqttworker.service.threads import in_thread
from tests.worker.service.asking import ask, row_of


def test_a_database_that_has_not_answered_yet_keeps_nobody_from_connecting(
    sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "LEASE_TTL", 1.0)
    monkeypatch.setattr(lease, "SILENT_AFTER", 0.5)
    engine = make_engine(sqlite_url)
    lost: list[str] = []
    lock = LockFile(tmp_path / "worker.lock")
    keeper = LeaseKeeper(Presence(engine, "boot"), lock, 6.0, Clock(), lost.append)
    keeper.renew()
    assert keeper.may_connect()
    with sqlite3.connect(make_url(sqlite_url).database or "", isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        renewal = gevent.spawn(keeper.renew)
        for _ in range(15):
            gevent.sleep(lease.CHECK_INTERVAL)
            keeper.check()
            assert keeper.may_connect()
        assert not renewal.ready()
        other.execute("ROLLBACK")
    renewal.get(timeout=10)
    keeper.renew()
    other.close()
    assert (keeper.may_connect(), lost) == (True, [])
    engine.dispose()


SLOW_RESULTS = """
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_sleep(0.25); RETURN NEW; END';
CREATE TRIGGER slow BEFORE UPDATE ON command_result FOR EACH ROW EXECUTE FUNCTION slow();
"""


@pytest.mark.timing
@pytest.mark.postgresql
@pytest.mark.parametrize("databases", ["postgresql"], indirect=True)
def test_two_hundred_results_of_commands_keep_neither_lease_nor_heartbeat_waiting(
    database_url: str, engine: Engine, tmp_path: Path
) -> None:
    with engine.begin() as transaction:
        transaction.execute(text(SLOW_RESULTS))
    presence, lock = Presence(engine, "boot"), LockFile(tmp_path / "worker.lock")
    keeper = LeaseKeeper(presence, lock, 6.0, Clock(), lambda _reason: None)
    keeper.renew()
    numbers = [ask(engine, "reconnect") for _ in range(200)]
    tester = testing.Tester(FakeTransport(FakeBroker()), "host", list, SharedLogins(Clock().now))
    runner = CommandRunner(Commands(engine, "boot"), lambda _number: None, tester)
    runner.poll()
    waits = [0.0]
    for _ in range(4):
        gevent.sleep(0.2)
        for work in (keeper.renew, lambda: in_thread(presence.prune_heartbeats)):
            started = time.monotonic()
            work()
            waits.append(time.monotonic() - started)
    runner.end()
    assert row_of(engine, numbers[0]).state is CommandState.FAILED
    assert max(waits) < 1.5
