"""Databases that the set-up must leave alone, or may not change: one sentence, no trace."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, make_url, text

from database import migrate, readiness
from database.session import make_engine
from tests.support.databases import Databases, upgrade
from tests.support.postgresql import PostgreSQL
from tests.support.set_up import set_up

#: A user and group without any rights, as every Linux has them.
NOBODY = 65534


def run_sql(url: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    engine = make_engine(url)
    for statement in statements:
        with engine.begin() as transaction:
            transaction.exec_driver_sql(statement)
    engine.dispose()


def tables(url: str) -> set[str]:
    engine = make_engine(url)
    found = set(inspect(engine).get_table_names())
    engine.dispose()
    return found


def refused(monkeypatch: pytest.MonkeyPatch, home: Path, url: str) -> str:
    """Return the one sentence that the set-up ends with; it changed nothing."""
    before = tables(url)
    (said,) = set_up(monkeypatch, home, url)
    assert said.startswith("hawser: ")
    assert "HAWSER_DATABASE_URL" in said
    assert len(said.splitlines()) == 1
    assert tables(url) == before
    return said


# --- newer, or not ours ------------------------------------------------------------------------


@pytest.mark.parametrize("revision", ["0099", "future", "0099_two_heads"])
def test_a_newer_schema_is_named_as_such(
    database_url: str, monkeypatch: pytest.MonkeyPatch, home: Path, revision: str
) -> None:
    run_sql(database_url, f"UPDATE alembic_version SET version_num = '{revision}'")
    said = refused(monkeypatch, home, database_url)
    assert f"belongs to a newer Hawser: its schema is at {revision}" in said
    assert f"knows it up to {migrate.head()}; install that version" in said


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM alembic_version", "must hold one revision and holds nothing"),
        ("DROP TABLE alembic_version", "must hold one revision and holds nothing"),
        ("INSERT INTO alembic_version VALUES ('0005')", "must hold one revision and holds 0005, "),
    ],
)
def test_a_schema_without_its_revision_is_damaged(
    database_url: str, monkeypatch: pytest.MonkeyPatch, home: Path, statement: str, words: str
) -> None:
    run_sql(database_url, statement)
    assert words in refused(monkeypatch, home, database_url)


#: A version table without Hawser's own tables, and what is said of it.
VERSIONS = {
    "newer": ("VARCHAR(32)", "'9999'", "belongs to a newer Hawser: its schema is at 9999"),
    "known": ("VARCHAR(32)", "'0005'", "says 0005, but Hawser's tables are missing"),
    "foreign": ("VARCHAR(32)", "'ae1027a6acf'", "another application, at its revision ae1027a6acf"),
    "number": ("INTEGER", "9", "another application, at its revision 9"),
    "null": ("VARCHAR(32)", "NULL", "another application, at its revision None"),
}


@pytest.mark.parametrize("kind", VERSIONS)
@pytest.mark.parametrize("relation", ["TABLE", "VIEW"])
@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
def test_a_version_without_our_tables_is_one_sentence(
    empty_database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    kind: str,
    relation: str,
) -> None:
    column, value, words = VERSIONS[kind]
    table = "alembic_version" if relation == "TABLE" else "other_version"
    statements = [f"CREATE TABLE {table} (version_num {column})"]
    statements += [f"INSERT INTO {table} VALUES ({value})"]
    if relation == "VIEW":
        statements += [f"CREATE VIEW alembic_version AS SELECT * FROM {table}"]
    run_sql(empty_database_url, *statements)
    assert words in refused(monkeypatch, home, empty_database_url)


def test_a_newer_schema_is_told_by_readyz_and_the_worker(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = '0099'"))
    for in_own_words in (False, True):
        said = readiness.problem(engine, in_own_words=in_own_words)
        assert said is not None
        assert "belongs to a newer Hawser" in said


def test_a_table_of_somebody_else_is_left_alone(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    run_sql(empty_database_url, "CREATE TABLE connection (id INTEGER)")
    assert 'a table "connection" that is not of Hawser' in refused(
        monkeypatch, home, empty_database_url
    )


def test_tables_of_others_beside_ours_do_no_harm(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    run_sql(empty_database_url, "CREATE TABLE spatial_ref_sys (id INTEGER)")
    assert set_up(monkeypatch, home, empty_database_url)[0].startswith("First account")


def test_another_kind_of_version_table_is_one_sentence(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    run_sql(empty_database_url, "CREATE TABLE alembic_version (version INTEGER)")
    assert "version_num" in refused(monkeypatch, home, empty_database_url)


# --- no rights, no writes ----------------------------------------------------------------------


@pytest.fixture
def weak_url(postgresql_server: PostgreSQL) -> Iterator[str]:
    """The address of an empty database for a role without any right in it."""
    name = postgresql_server.create()
    postgresql_server.execute('CREATE ROLE "Weak one" LOGIN')
    yield postgresql_server.url(name, "Weak one")
    postgresql_server.drop(name)
    postgresql_server.execute('DROP ROLE "Weak one"')


def as_owner(url: str, *statements: str) -> None:
    run_sql(make_url(url).set(username="hawser").render_as_string(), *statements)


@pytest.mark.postgresql
@pytest.mark.parametrize(
    "taken_away",
    ["SELECT 1", "REVOKE ALL ON SCHEMA public FROM public", "DROP SCHEMA public"],
)
def test_a_role_without_the_right_to_create_gets_the_statement_that_grants_it(
    weak_url: str, monkeypatch: pytest.MonkeyPatch, home: Path, taken_away: str
) -> None:
    as_owner(weak_url, taken_away)
    (said,) = set_up(monkeypatch, home, weak_url)
    cure = 'GRANT USAGE, CREATE ON SCHEMA public TO "Weak one"'
    assert said.startswith('hawser: HAWSER_DATABASE_URL: its role "Weak one" may not make tables')
    assert said.endswith(cure)
    as_owner(weak_url, "CREATE SCHEMA IF NOT EXISTS public", cure)
    assert set_up(monkeypatch, home, weak_url)[0].startswith("First account")


@pytest.mark.postgresql
def test_the_tables_of_another_role_are_told(
    weak_url: str, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    owner = make_engine(make_url(weak_url).set(username="hawser").render_as_string())
    migrate.upgrade(owner, "0005")
    owner.dispose()
    as_owner(weak_url, 'GRANT ALL ON SCHEMA public TO "Weak one"')
    said = refused(monkeypatch, home, weak_url)
    assert "permission denied for table alembic_version" in said
    as_owner(weak_url, 'GRANT ALL ON ALL TABLES IN SCHEMA public TO "Weak one"')
    said = refused(monkeypatch, home, weak_url)
    assert "must be owner of table" in said
    assert "name the role that owns Hawser's tables" in said


@pytest.mark.postgresql
@pytest.mark.parametrize("state", ["empty", "migrated"])
def test_a_database_that_takes_no_writes_is_told_and_noticed_when_it_does(
    postgresql_server: PostgreSQL,
    postgresql_databases: Databases,
    monkeypatch: pytest.MonkeyPatch,
    home: Path,
    state: str,
) -> None:
    with getattr(postgresql_databases, state)() as url:
        name = make_url(url).database
        option = f"ALTER DATABASE {name} SET default_transaction_read_only"
        postgresql_server.execute(f"{option} = on")
        assert "default_transaction_read_only is on" in refused(monkeypatch, home, url)

        def let(lines: list[str]) -> None:
            if len(lines) == 1:
                postgresql_server.execute(f"{option} = off")

        lines = set_up(monkeypatch, home, url, keep_trying=True, on_line=let)
    assert "default_transaction_read_only is on" in lines[0]
    assert lines[1].startswith("First account")


# --- SQLite --------------------------------------------------------------------------------------


@contextmanager
def as_somebody() -> Iterator[None]:
    """Be a user for whom file modes count: root is above them."""
    if os.geteuid() != 0:
        yield
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


@pytest.fixture
def somebodys() -> Iterator[Path]:
    """A directory of that user, below which there are a home and a directory `data`."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        for each in (path, path / "home", path / "data"):
            each.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                os.chown(each, NOBODY, NOBODY)
        yield path


@pytest.mark.parametrize("state", ["new", "old", "migrated"])
@pytest.mark.parametrize("protected", ["file", "directory", "both"])
def test_a_file_that_may_not_be_written_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, somebodys: Path, state: str, protected: str
) -> None:
    file = somebodys / "data" / "hawser.db"
    with as_somebody():
        if state != "new":
            upgrade(f"sqlite:///{file}", "0003" if state == "old" else "head")
        elif protected != "directory":
            file.touch()
        if protected != "directory":
            file.chmod(0o400)
        if protected != "file":
            file.parent.chmod(0o500)
        (said,) = set_up(monkeypatch, somebodys / "home", f"sqlite:///{file}")
        file.parent.chmod(0o700)
    assert said.startswith("hawser: HAWSER_DATABASE_URL: ")
    assert str(file.parent) in said
    assert "must be allowed to write" in said or "is writable" in said
    assert len(said.splitlines()) == 1


def test_a_file_of_another_kind_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, home: Path, tmp_path: Path
) -> None:
    foreign = tmp_path / "foreign.db"
    foreign.write_bytes(b"no database at all" * 500)
    (said,) = set_up(monkeypatch, home, f"sqlite:///{foreign}")
    assert f"the SQLite file {foreign} cannot be used: file is not a database" in said
    assert foreign.read_bytes() == b"no database at all" * 500


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/dev", "is no file; name the SQLite file itself"),
        ("/dev/null", "is no file; name the SQLite file itself"),
        ("/" + "a" * 300, "cannot be made (File name too long)"),
    ],
)
def test_a_path_that_can_be_no_file_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, home: Path, path: str, words: str
) -> None:
    (said,) = set_up(monkeypatch, home, f"sqlite:///{path}")
    assert said.startswith("hawser: HAWSER_DATABASE_URL: ")
    assert words in said


def test_a_locked_file_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, home: Path, sqlite_url: str
) -> None:
    monkeypatch.setattr("database.session.SQLITE_BUSY_TIMEOUT", 0.1)
    with closing(sqlite3.connect(make_url(sqlite_url).database or "")) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")

        def let(lines: list[str]) -> None:
            if len(lines) == 1:
                other.execute("ROLLBACK")

        lines = set_up(monkeypatch, home, sqlite_url, on_line=let)
    assert "database is locked" in lines[0]
    assert lines[1].startswith("First account")


# --- what nobody foresaw -------------------------------------------------------------------------


def test_a_migration_that_fails_is_one_sentence_and_keeps_its_trace(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    # A table of a later migration is there already.
    upgrade(empty_database_url, "0003")
    run_sql(empty_database_url, "CREATE TABLE user_session (id INTEGER)")
    (said,) = set_up(monkeypatch, home, empty_database_url)
    kept = home / "setup-error.log"
    assert said.startswith("hawser: the set-up failed (")
    assert "already exists" in said
    assert said.endswith(f"; the details are in {kept}")
    assert "Traceback" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
