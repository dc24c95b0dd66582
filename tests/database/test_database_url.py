"""HAWSER_DATABASE_URL: an address works, or a sentence says why not, without a part of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from database.database_url import read_database_url, sqlite_url

P = "postgresql://hw:"
ENCODED = "percent-encoded"


BROKEN_HOSTS = (
    f"postgresql://hw@{'canary' * 11}.example/hw",
    "postgresql://hw@canary..example/hw",
    "postgresql://hw@/hw?host=h1:5432&host=canary..example:5432",
)


@pytest.mark.parametrize(
    ("text", "cure"),
    [
        # A raw @ moves a part of the password into the host or the database.
        (f"{P}p@canary@127.0.0.1/hw", ENCODED),
        (f"{P}p@canary/x@127.0.0.1/hw", ENCODED),
        (f"{P}p@canary?x=y@127.0.0.1/hw", ENCODED),
        (f"{P}p@canary:w@127.0.0.1/hw", ENCODED),
        (f"{P}canary%FF@127.0.0.1/hw", ENCODED),
        (f"{P}canary@127.0.0.1/%00", ENCODED),
        (f"{P}canary@127.0.0.1/hw?application_name=%00", ENCODED),
        ("sqlite:////srv/canary%00.db", ENCODED),
        ("postgresql://h:canary/db", ENCODED),
        *((text, "a part between dots") for text in BROKEN_HOSTS),
        ("postgresql://h:/db", ENCODED),
        ("postgresql://h1:5432,canary:5432/db", ENCODED),
        ("postgresql://canary one/db", ENCODED),
        ("postgresql://hw:canary@h#x/db", ENCODED),
        ("postgresql://[canary/db", ENCODED),
        ("postgresql://a/b,postgresql://canary/d", ENCODED),
        ("postgresql://a/b postgresql://canary/d", ENCODED),
        ("postgresql://a/b\npostgresql://canary/d", ENCODED),
        ("postgresql:/canary/db", ENCODED),
        (f"{P}canary@h/hw\x1b[31m", ENCODED),
        ("canary", ENCODED),
        ("   ", ENCODED),
        ("mysql://canary@host/db", ENCODED),
        ("postgresql+asyncpg://canary@host/db", ENCODED),
        ("POSTGRESQL://canary@host/db", ENCODED),
        ("sqlite+aiosqlite:///canary", ENCODED),
        ("jdbc:postgresql://canary/db", ENCODED),
        ("host=canary dbname=hw", ENCODED),
        (f"{P}canary@127.0.0.1", "names no database"),
        (f"{P}canary@127.0.0.1/", "names no database"),
        (f"{P}canary@127.0.0.1:0/hw", "a port from 1 to 65535"),
        (f"{P}canary@127.0.0.1:70000/hw", "a port from 1 to 65535"),
        (f"{P}canary@h/hw?foo=canary", "an option foo that PostgreSQL does not know"),
        (f"{P}canary@h/hw?Canary=1", "an option that PostgreSQL does not know"),
        # A raw / and ? make an option of a part of the password.
        ("postgresql://hw/p?canary=x@127.0.0.1/hw", "an option that PostgreSQL does not know"),
        (f"{P}canary@h/hw?sslmode=canary", "sslmode: disable, allow, prefer, require, verify-ca"),
        (f"{P}canary@h/hw?sslmode=require&sslmode=canary", "sslmode more than once"),
        (f"{P}canary@h/hw?target_session_attrs=canary", "option target_session_attrs"),
        (f"{P}canary@h/hw?connect_timeout=canary", "whole number for the option connect_timeout"),
        (f"{P}canary@/hw?host=/run&port=canary", "a port from 1 to 65535"),
        ("sqlite://", "must name a file"),
        ("sqlite:///", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
        ("sqlite:///file:canary?mode=memory&uri=true", "no options for SQLite"),
        ("sqlite:///file:canary", "must name a file"),
        ("sqlite:////srv/canary?x=1/hawser.db", "no options for SQLite"),
        ("sqlite://canary.db", "three slashes"),
        ("sqlite://srv/canary.db", "three slashes"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_a_part_of_it(
    text: str, cure: str
) -> None:
    with pytest.raises(ValueError, match=cure) as refusal:
        read_database_url(text)
    assert "canary" not in str(refusal.value).lower()
    # Nothing of it hangs on to the error, where a stack trace would show it.
    assert refusal.value.__cause__ is None
    assert refusal.value.__suppress_context__ or refusal.value.__context__ is None


@pytest.mark.parametrize(
    ("text", "password"),
    [
        (f"{P}a/b@127.0.0.1/hw", "a/b"),
        (f"{P}a#b@127.0.0.1/hw", "a#b"),
        (f"{P}a?b@127.0.0.1/hw", "a?b"),
        (f"{P}a:b@127.0.0.1/hw", "a:b"),
        (f"{P}a%b@127.0.0.1/hw", "a%b"),
        (f"{P}a%40%2F%25@127.0.0.1/hw", "a@/%"),
        (f"{P}@127.0.0.1/hw", ""),
        ("postgres://hw:pw@127.0.0.1/hw", "pw"),
        ("postgresql+psycopg2://hw:pw@127.0.0.1/hw", "pw"),
        ("  postgresql://hw:pw@127.0.0.1/hw \n", "pw"),
    ],
)
def test_a_password_with_raw_characters_is_read_where_that_is_certain(
    text: str, password: str
) -> None:
    url = read_database_url(text)
    assert url.drivername == "postgresql+psycopg"
    assert (url.username, url.password, url.host) == ("hw", password, "127.0.0.1")
    assert url.database == "hw"


@pytest.mark.parametrize(
    "text",
    [
        "postgresql:///hw",
        "postgresql://hw@/hw?host=/var/run/postgresql",
        "postgresql://hw@h/hw?sslmode=verify-full&sslrootcert=/etc/ca.pem&application_name=x",
        "postgresql://hw@/hw?host=h1:5432&host=h2:5433&target_session_attrs=read-write",
        "postgresql://hw@[::1]:5432/hw",
        "postgresql://hw@[fe80::1%25eth0]/hw",
    ],
)
def test_what_postgresql_takes_is_taken(text: str) -> None:
    assert read_database_url(text).get_backend_name() == "postgresql"


def test_a_relative_file_is_found_from_everywhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_database_url("sqlite:///data/x.db").database == str(tmp_path / "data/x.db")


@pytest.mark.parametrize("name", ["a?b=1", "a%2Fb", "a#b", "a b", "\u00e9", "%", "a@b:c"])
def test_the_address_of_a_file_leads_to_that_file(name: str) -> None:
    path = Path("/srv") / name / "hawser.db"
    assert read_database_url(sqlite_url(path)).database == str(path)
