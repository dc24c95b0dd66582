"""The log of the web says what is wrong with the database: once, and again when that changes."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ENCRYPTION_KEY
from tests.support.databases import upgrade
from tests.support.postgresql import PostgreSQL
from tests.support.process import HOST, Child, accepts, free_port

pytestmark = pytest.mark.postgresql
ROOT = Path(__file__).parents[2]
#: Seconds until the web says what has happened, and until it has started.
WITHIN, START = 10.0, 60.0
ROLE = "with_password"


@pytest.fixture
def name(postgresql_server: PostgreSQL) -> Iterator[str]:
    """A database at head that a role with a password may read."""
    made = postgresql_server.create()
    upgrade(postgresql_server.url(made))
    postgresql_server.execute(f"CREATE ROLE {ROLE} SUPERUSER LOGIN PASSWORD 'right'")
    yield made
    postgresql_server.drop(made)
    postgresql_server.execute(f"DROP ROLE {ROLE}")


def ask(port: int, path: str) -> int:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_web_tells_of_its_database_once_and_again_when_that_changes(
    postgresql_server: PostgreSQL, name: str, home: Path
) -> None:
    port = free_port()
    environment = {
        "PATH": "/usr/bin:/bin",
        "HAWSER_HOME": str(home),
        "HAWSER_DATABASE_URL": postgresql_server.url(name, ROLE, "canary"),
        "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "HAWSER_SECRET_KEY": "k" * 40,
        "HAWSER_BIND": f"{HOST}:{port}",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with Child(command, home / "log", env=environment, cwd=ROOT) as web:
        web.wait_for_output("password authentication failed for user", START)
        web.wait_for(lambda: accepts(port), WITHIN, "the web server to listen")
        for path in ("/api/v1/mqtt/health/", "/readyz", "/api/v1/mqtt/health/"):
            assert ask(port, path) == 503
        postgresql_server.execute(f"ALTER ROLE {ROLE} PASSWORD 'canary'")
        web.wait_for_output("the database answers again", WITHIN)
        assert ask(port, "/readyz") == 200
        postgresql_server.execute(f"ALTER ROLE {ROLE} NOLOGIN")
        postgresql_server.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{ROLE}'"
        )
        web.wait_for_output("is not permitted to log in", WITHIN)
        web.stop()
        lines = [json.loads(line) for line in web.output().splitlines()]
    said = [line["event"] for line in lines if "database" in line["event"]]
    assert said == ["waiting for the database", "the database answers again", said[0]]
    assert all("problem" in line for line in lines if line["event"] == said[0])
    assert "canary" not in web.output()
