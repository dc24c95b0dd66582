"""A worker that nobody can have replaced goes on while its database is silent."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import gevent
import pytest
from sqlalchemy.engine import make_url

from database.session import make_engine
from mqttworker.adapters.lockfile import LockFile
from mqttworker.ports.store import Presence
from mqttworker.service import lease
from mqttworker.service.context import Clock
from mqttworker.service.lease import LeaseKeeper


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
