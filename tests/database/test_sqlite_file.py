"""An engine opens the SQLite file where it is, makes none, and misses it when it is gone."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DatabaseError, OperationalError

from database import migrate, readiness, sqlite_guard
from database.session import immediate, make_engine
from tests.support.databases import Databases, sqlite_url

VERSION = text("SELECT version FROM config_version")
CHANGE = text("UPDATE config_version SET version = version + 1")


@contextmanager
def engine_at(path: Path) -> Iterator[Engine]:
    made = make_engine(sqlite_url(path))
    yield made
    made.dispose()


@pytest.fixture
def file(tmp_path: Path, sqlite_databases: Databases) -> Path:
    with sqlite_databases.migrated() as url:
        return Path(shutil.copyfile(make_url(url).database or "", tmp_path / "hawser.db"))


def read(engine: Engine) -> int:
    with engine.connect() as transaction:
        return int(transaction.scalar(VERSION) or 0)


def change(engine: Engine) -> None:
    with immediate(engine).begin() as transaction:
        transaction.execute(CHANGE)


def test_no_engine_makes_a_file(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with engine_at(path) as engine:
        with pytest.raises(OperationalError, match="SQLite file is missing"):
            read(engine)
        assert "SQLite file is missing" in (readiness.problem(engine) or "")
    assert list(tmp_path.iterdir()) == []


def test_the_migration_makes_the_file_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with engine_at(path) as engine:
        migrate.upgrade(engine)
        change(engine)
        for each in tmp_path.iterdir():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600, each


def test_a_file_that_others_may_read_is_made_private_with_its_log(file: Path) -> None:
    file.chmod(0o644)
    with engine_at(file) as engine:
        change(engine)
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()}
    assert modes == dict.fromkeys(("hawser.db", "hawser.db-wal", "hawser.db-shm"), 0o600)


def test_a_file_that_is_no_database_keeps_its_rights(tmp_path: Path) -> None:
    path = tmp_path / "passwd"
    path.write_text("root:x:0:0\n" * 200, encoding="utf-8")
    path.chmod(0o644)
    with engine_at(path) as engine, pytest.raises(DatabaseError, match="file is not a database"):
        read(engine)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["a?b.db", "a%2Fb.db", "a#b.db", "ü 1.db", "a;b&mode=ro.db"])
def test_any_name_is_opened_as_it_is_written(tmp_path: Path, name: str) -> None:
    url = make_url("sqlite://").set(database=str(tmp_path / name))
    engine = make_engine(url.render_as_string())
    migrate.upgrade(engine)
    engine.dispose()
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_database_in_memory_needs_no_file() -> None:
    engine = make_engine("sqlite://")
    with engine.connect() as transaction:
        assert transaction.scalar(text("SELECT 1")) == 1
    engine.dispose()


def _remove(path: Path) -> None:
    path.unlink()


def _move(path: Path) -> None:
    path.rename(path.with_name("moved.db"))


def _replace(path: Path) -> None:
    copy = shutil.copyfile(path, path.with_name("copy.db"))
    copy.rename(path)


def _remove_log(path: Path) -> None:
    path.with_name(path.name + "-wal").unlink()


@pytest.mark.parametrize("harm", [_remove, _move, _replace, _remove_log])
def test_a_commit_into_a_file_that_is_gone_meanwhile_is_not_told_as_stored(
    file: Path, harm: Callable[[Path], None]
) -> None:
    with engine_at(file) as engine, immediate(engine).connect() as connection:
        transaction = connection.begin()
        connection.execute(CHANGE)
        harm(file)
        transaction.commit()
        with pytest.raises(OperationalError, match="SQLite file"):
            sqlite_guard.require_same_file(connection)


def test_a_file_that_comes_back_is_gone_on_with(file: Path) -> None:
    moved = file.with_name("moved.db")
    with engine_at(file) as engine:
        change(engine)
        before = read(engine)
        file.rename(moved)
        for _ in range(3):
            with pytest.raises(OperationalError, match="missing"):
                read(engine)
        moved.rename(file)
        assert read(engine) == before
        assert sqlite_guard.generation(engine) == 0


def test_a_link_that_leads_elsewhere_is_another_file(file: Path) -> None:
    link, other = file.with_name("link.db"), file.with_name("other.db")
    shutil.copyfile(file, other)
    link.symlink_to(file.name)
    with engine_at(link) as engine:
        change(engine)
        link.unlink()
        link.symlink_to(other.name)
        with pytest.raises(OperationalError, match="replaced"):
            change(engine)
        change(engine)
        assert sqlite_guard.generation(engine) == 1
        assert other.with_name("other.db-wal").exists()


def test_the_log_of_a_file_that_was_replaced_is_not_played_into_the_new_one(file: Path) -> None:
    with engine_at(file) as engine:
        copy = shutil.copyfile(file, file.with_name("copy.db"))
        before = read(engine)
        change(engine)
        copy.rename(file)
        with pytest.raises(OperationalError, match="replaced"):
            read(engine)
        assert read(engine) == before


def test_the_log_of_a_file_that_was_missing_first_is_not_played_into_the_new_one(
    file: Path,
) -> None:
    with engine_at(file) as engine:
        copy = shutil.copyfile(file, file.with_name("copy.db"))
        before = read(engine)
        change(engine)
        file.unlink()
        with pytest.raises(OperationalError, match="missing"):
            read(engine)
        copy.rename(file)
        assert read(engine) == before


def test_what_a_removed_log_held_is_saved(file: Path) -> None:
    with engine_at(file) as engine, engine_at(file) as other:
        read(other)
        change(engine)
        before = read(engine)
        _remove_log(file)
        for each in (engine, other):
            with pytest.raises(OperationalError, match="log of the SQLite file"):
                change(each)
        change(engine)
        change(other)
        assert read(engine) == read(other) == before + 2


def fill(engine: Engine, rows: int) -> None:
    """Make the file larger, and let the log be written into it."""
    insert = text("INSERT INTO connection (name, site, host) VALUES (:name, 's', 'h')")
    with immediate(engine).begin() as transaction:
        first = transaction.scalar(text("SELECT count(*) FROM connection")) or 0
        names = [{"name": f"{number}" * 30} for number in range(first, first + rows)]
        transaction.execute(insert, names)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize("size", [0, 4_096, None], ids=["nothing", "a page", "a copy"])
def test_a_file_that_was_overwritten_takes_nothing_more(file: Path, size: int | None) -> None:
    copy = shutil.copyfile(file, file.with_name("copy.db"))
    with engine_at(file) as engine:
        fill(engine, 2_000)
        read(engine)
        before = file.stat().st_ino
        # Into the same file, as `cp` does.
        file.write_bytes(copy.read_bytes()[:size])
        assert file.stat().st_ino == before
        for _ in range(3):
            with pytest.raises(OperationalError, match="overwritten"):
                change(engine)
        assert "overwritten" in (readiness.problem(engine) or "")
        copy.rename(file)
        change(engine)


def test_a_file_that_was_made_smaller_on_purpose_is_whole(file: Path) -> None:
    with engine_at(file) as engine, engine_at(file) as other:
        fill(engine, 2_000)
        before = file.stat().st_size
        with immediate(other).begin() as transaction:
            transaction.execute(text("DELETE FROM connection"))
        with other.connect() as connection:
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("VACUUM")
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            connection.exec_driver_sql("BEGIN")
        assert file.stat().st_size < before
        change(engine)
        change(other)
