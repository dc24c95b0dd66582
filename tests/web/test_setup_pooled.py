"""PgBouncer: pooling by session works, pooling by transaction or statement is refused by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

from database import readiness
from database.session import make_engine
from tests.support import pgbouncer
from tests.support.pgbouncer import PgBouncer
from tests.support.postgresql import PostgreSQL
from tests.support.set_up import set_up

pytestmark = pytest.mark.postgresql


@pytest.fixture
def pooled(postgresql_server: PostgreSQL) -> Iterator[Callable[[str, str], str]]:
    """A function that returns the address of a database through a pooler in some mode."""
    if pgbouncer.executable() is None:
        pytest.skip("PgBouncer is not installed (Debian: pgbouncer)")
    with ExitStack() as running:

        def start(name: str, pool_mode: str) -> str:
            return running.enter_context(PgBouncer(postgresql_server, pool_mode)).url(name)

        yield start


def test_pooling_by_session_works(
    postgresql_server: PostgreSQL,
    pooled: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
) -> None:
    name = postgresql_server.create()
    url = pooled(name, "session")
    assert set_up(monkeypatch, home, url)[0] == "First account: admin@hawser.example"
    assert set_up(monkeypatch, home, url) == []
    engine = make_engine(url)
    assert readiness.problem(engine) is None
    engine.dispose()


@pytest.mark.parametrize("pool_mode", ["transaction", "statement"])
def test_pooling_that_takes_the_session_away_is_refused_by_name(
    postgresql_server: PostgreSQL,
    pooled: Callable[[str, str], str],
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    pool_mode: str,
) -> None:
    url = pooled(postgresql_server.create(), pool_mode)
    with _free_sessions(url) if pool_mode == "transaction" else nullcontext():
        (said,) = set_up(monkeypatch, home, url)
    assert said.startswith("hawser: HAWSER_DATABASE_URL")
    assert "pool_mode = session" in said
    assert len(said.splitlines()) == 1


@contextmanager
def _free_sessions(url: str) -> Iterator[None]:
    """Let the pooler have several sessions of the server, so that it can choose."""
    where = make_url(url).set(drivername="postgresql").render_as_string()
    with ExitStack() as running:
        clients = [running.enter_context(psycopg.connect(where)) for _ in range(4)]
        for client in clients:
            client.execute("SELECT 1")
        for client in clients:
            client.rollback()
        yield
