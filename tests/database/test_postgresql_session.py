"""Sessions on PostgreSQL are alike, whatever a role, a database, a URL or PG* chose for them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine, text

from database.session import make_engine
from tests.support.postgresql import PostgreSQL

pytestmark = pytest.mark.postgresql
#: What administrators set for a role or a database, and what a session of ours has instead.
CHOICES = {
    "client_encoding": ("LATIN1", "UTF8"),
    "DateStyle": ("German, DMY", "ISO, MDY"),
    "IntervalStyle": ("iso_8601", "postgres"),
    "TimeZone": ("America/St_Johns", "UTC"),
    "bytea_output": ("escape", "hex"),
    "extra_float_digits": ("-5", "1"),
    "standard_conforming_strings": ("off", "on"),
    "transform_null_equals": ("on", "off"),
    "quote_all_identifiers": ("on", "off"),
    "synchronous_commit": ("off", "on"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "default_transaction_deferrable": ("on", "off"),
    "lock_timeout": ("1ms", "0"),
    "statement_timeout": ("1ms", "10s"),
    "idle_in_transaction_session_timeout": ("1ms", "10s"),
    "idle_session_timeout": ("1min", "0"),
    "array_nulls": ("off", "on"),
    "exit_on_error": ("on", "off"),
    "jit": ("on", "off"),
}


@pytest.fixture
def name(postgresql_server: PostgreSQL) -> Iterator[str]:
    """A database of its own."""
    made = postgresql_server.create()
    yield made
    postgresql_server.drop(made)


def shown(engine: Engine) -> dict[str, str]:
    """Return what a new session has for each choice."""
    with engine.connect() as connection:
        return {each: connection.execute(text(f"SHOW {each}")).scalar_one() for each in CHOICES}


def check(url: str) -> None:
    engine = make_engine(url)
    try:
        assert shown(engine) == {each: ours for each, (_, ours) in CHOICES.items()}
        with engine.connect() as connection:
            moment = connection.execute(text("SELECT '2026-11-30 07:00+00'::timestamptz")).scalar()
            assert moment == datetime(2026, 11, 30, 7, tzinfo=UTC)
            assert connection.execute(text(r"SELECT 'a\b', 'Größe 温度'")).one() == (
                r"a\b",
                "Größe 温度",
            )
    finally:
        engine.dispose()


@pytest.mark.parametrize("whom", ["DATABASE", "ROLE"])
def test_what_a_database_or_a_role_has_set_changes_nothing(
    postgresql_server: PostgreSQL, name: str, whom: str
) -> None:
    # A setting must not reach the session that sets the next one.
    subject = f"DATABASE {name}" if whom == "DATABASE" else f"ROLE hawser IN DATABASE {name}"
    for setting, (theirs, _) in CHOICES.items():
        value = theirs if setting == "DateStyle" else f"'{theirs}'"
        postgresql_server.execute(f"ALTER {subject} SET {setting} = {value}")
    check(postgresql_server.url(name))


def test_what_the_url_or_the_environment_sets_changes_nothing(
    postgresql_server: PostgreSQL, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in (
        ("PGOPTIONS", "-c bytea_output=escape -c jit=on -c DateStyle=German"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("PGDATESTYLE", "German"),
        ("PGTZ", "America/St_Johns"),
    ):
        monkeypatch.setenv(variable, value)
    url = postgresql_server.url(name)
    check(url)
    check(f"{url}?client_encoding=latin1&options=-c%20IntervalStyle%3Diso_8601")


def test_a_stricter_promise_of_durability_is_kept(postgresql_server: PostgreSQL, name: str) -> None:
    postgresql_server.execute(f"ALTER DATABASE {name} SET synchronous_commit = remote_apply")
    engine = make_engine(postgresql_server.url(name))
    assert shown(engine)["synchronous_commit"] == "remote_apply"
    engine.dispose()
