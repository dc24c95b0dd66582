"""A PostgreSQL that says no is told in its own words, with the cure, and without a secret."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from bench.ports import HOST, free_port
from tests.support.postgresql import PostgreSQL
from tests.support.set_up import StillTryingError, set_up

pytestmark = pytest.mark.postgresql
ROLES = ("with_password", "with_old_password", "rejected", "with_tls", "no_login", "no_room")


@pytest.fixture(scope="module")
def server(postgresql_server: PostgreSQL) -> Iterator[PostgreSQL]:
    """The server, with roles that it refuses, each for a reason of its own."""
    for role in ROLES:
        postgresql_server.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'right'")
    postgresql_server.execute("ALTER ROLE no_login NOLOGIN")
    postgresql_server.execute("ALTER ROLE no_room CONNECTION LIMIT 0")
    yield postgresql_server
    for role in ROLES:
        postgresql_server.execute(f"DROP ROLE {role}")


#: User and password, database, options; what PostgreSQL or its driver says.
REFUSALS = {
    "wrong password": ("with_password:canary", "postgres", "", "password authentication failed"),
    "sent in clear": ("with_old_password:canary", "postgres", "", "password authentication failed"),
    "no password": ("with_password", "postgres", "", "no password supplied"),
    "no such role": ("nobody", "postgres", "", 'role "nobody" does not exist'),
    "no login": ("no_login", "postgres", "", "is not permitted to log in"),
    "no such database": ("hawser", "missing", "", 'database "missing" does not exist'),
    "closed database": ("hawser", "template0", "", "not currently accepting connections"),
    "rejected": ("rejected:canary", "postgres", "", "pg_hba.conf rejects connection"),
    "TLS is required": ("with_tls", "postgres", "", "pg_hba.conf rejects connection"),
    "TLS is not there": ("hawser", "postgres", "?sslmode=require", "server does not support SSL"),
    "start-up parameter": (
        "hawser",
        "postgres",
        "?options=-c%20nonsense%3D1",
        'unrecognized configuration parameter "nonsense"',
    ),
    "start-up value": ("hawser", "postgres", "?options=-c%20work_mem%3Dx", "work_mem"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_cannot_cure_itself_ends_the_set_up_in_the_words_of_the_server(
    server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, home: Path, case: str
) -> None:
    login, database, options, words = REFUSALS[case]
    url = f"postgresql://{login}@{HOST}:{server.port}/{database}{options}"
    (said,) = set_up(monkeypatch, home, url)
    assert said.startswith("hawser: HAWSER_DATABASE_URL: ")
    assert words in said
    assert "; " in said
    assert "canary" not in said
    assert len(said.splitlines()) == 1


def test_the_code_of_a_refusal_counts_and_not_the_language_of_the_server(
    server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    # No server with other catalogues is installed, so the words are made unknown instead.
    monkeypatch.setattr("database.connect_error._CURES_BY_WORDS", {})
    (said,) = set_up(monkeypatch, home, server.url("postgres", "with_password", "canary"))
    assert "correct the user and the password" in said


def test_a_full_server_is_waited_for_and_told_again_when_it_says_something_else(
    server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    database = server.create()
    looks: list[int] = []

    def go_on(lines: list[str]) -> None:
        if "too many connections" in lines[-1] and not looks:
            looks.append(1)
            server.execute("ALTER ROLE no_room NOLOGIN")
        elif "not permitted to log in" in lines[-1]:
            raise StillTryingError

    url = server.url(database, "no_room")
    lines = set_up(monkeypatch, home, url, keep_trying=True, on_line=go_on)
    server.execute("ALTER ROLE no_room LOGIN")
    server.drop(database)
    assert len(lines) == 2
    assert all(line.startswith("hawser: waiting for the database. ") for line in lines)
    assert all("HAWSER_DATABASE_URL: " in line for line in lines)


def test_the_container_goes_on_until_the_database_is_there(
    server: PostgreSQL, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    server.execute("CREATE DATABASE late ALLOW_CONNECTIONS false TEMPLATE template0")

    def make(lines: list[str]) -> None:
        if len(lines) == 1:
            server.execute("ALTER DATABASE late ALLOW_CONNECTIONS true")

    lines = set_up(monkeypatch, home, server.url("late"), keep_trying=True, on_line=make)
    server.drop("late")
    assert '"late" is not currently accepting connections' in lines[0]
    assert lines[1] == "First account: admin@hawser.example"


def waited_for(monkeypatch: pytest.MonkeyPatch, home: Path, url: str) -> str:
    """Return the one line about a database that may come; it comes within 10 s."""
    started = time.monotonic()
    (said,) = set_up(monkeypatch, home, url)
    assert time.monotonic() - started < 10
    assert said.startswith("hawser: waiting for the database. HAWSER_DATABASE_URL: ")
    assert "canary" not in said
    return said


def test_a_server_that_may_come_is_waited_for_in_its_own_words(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    url = f"postgresql://u:canary@{HOST}:{free_port()}/d"
    assert "Connection refused" in waited_for(monkeypatch, home, url)
    url = "postgresql://u:canary@no-such-host.invalid/d"
    assert "no-such-host.invalid" in waited_for(monkeypatch, home, url)


def test_a_server_that_does_not_answer_is_told_within_ten_seconds(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    with socket.create_server((HOST, 0)) as silent:
        port = silent.getsockname()[1]
        said = waited_for(monkeypatch, home, f"postgresql://u:canary@{HOST}:{port}/d")
    assert "timeout" in said


def test_a_port_of_another_server_ends_the_set_up(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    with socket.create_server((HOST, 0)) as other:
        Thread(target=_speak_http, args=(other,), daemon=True).start()
        url = f"postgresql://u@{HOST}:{other.getsockname()[1]}/d"
        (said,) = set_up(monkeypatch, home, url)
        other.shutdown(socket.SHUT_RDWR)
    assert "name the port of a PostgreSQL server" in said


def _speak_http(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            client, _ = server.accept()
            with client:
                client.recv(100)
                client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
