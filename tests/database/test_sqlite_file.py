"""An engine opens the SQLite file where it is, makes none, and misses it when it is gone."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, event, make_url, text
from sqlalchemy.exc import DatabaseError, OperationalError

from database import migrate, readiness, sqlite_file, sqlite_guard
from database.session import immediate, make_engine
from tests.support.sqlite_files import CHANGE, VERSION, change, engine_at, read


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


def test_a_new_file_is_private_before_anybody_opens_it(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    with engine_at(path) as engine:
        sqlite_file.create(engine)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


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


def _remove_index(path: Path) -> None:
    path.with_name(path.name + "-shm").unlink()


def _cut_off(path: Path) -> None:
    os.truncate(path, 4_096)


@pytest.mark.parametrize("harm", [_remove, _move, _replace, _remove_log, _remove_index, _cut_off])
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


@pytest.mark.parametrize(("harm", "words"), [(_remove, "unable to open"), (_replace, "replaced")])
def test_what_happens_between_the_look_and_the_opening_is_noticed(
    file: Path, harm: Callable[[Path], None], words: str
) -> None:
    with engine_at(file) as engine:
        event.listen(engine, "do_connect", lambda *_: harm(file), once=True)
        with pytest.raises(OperationalError, match=words):
            read(engine)
        assert file.exists() == (harm is _replace)


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
        assert not list(file.parent.glob("*.replaced"))


def test_every_connection_lets_go_of_a_file_that_was_replaced(file: Path) -> None:
    with engine_at(file) as engine:
        held, *others = (engine.connect() for _ in range(3))
        for each in (held, *others):
            each.execute(VERSION)
        for each in others:
            each.close()
        _replace(file)
        with pytest.raises(OperationalError, match="replaced"):
            read(engine)
        # One notice is enough for all.
        for each in (engine.connect(), engine.connect()):
            others.append(each)
            each.execute(VERSION)
        held.close()
        assert open_files(file, " (deleted)") == []
        for each in others:
            each.close()


def open_files(file: Path, ending: str) -> list[str]:
    """Return what this process has open of a database, by the kernel's names for it."""
    names = [str(each.readlink()) for each in Path("/proc/self/fd").iterdir() if each.is_symlink()]
    return [name for name in names if name == f"{file}{ending}"]


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
