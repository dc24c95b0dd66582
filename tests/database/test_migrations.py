"""The migrations make what the models say, up and down, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from database import migrate, readiness
from database.models import Base
from database.partitions import is_partition
from database.session import make_engine

REVISIONS = [
    script.revision for script in ScriptDirectory.from_config(migrate.config()).walk_revisions()
]


@pytest.fixture
def empty_engine(empty_database_url: str) -> Iterator[Engine]:
    """An engine on a database without tables."""
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def tables(engine: Engine) -> set[str]:
    """Return the names of all tables but Alembic's own and the parts of others."""
    names = set(inspect(engine).get_table_names()) - {"alembic_version"}
    return {name for name in names if not is_partition(name)}


def test_head_has_every_table_of_the_models(engine: Engine) -> None:
    assert tables(engine) == set(Base.metadata.tables)


def test_models_and_migrations_say_the_same(engine: Engine) -> None:
    command.check(migrate.config(engine))


def test_the_way_down_removes_every_table(engine: Engine) -> None:
    migrate.downgrade(engine, "base")
    assert tables(engine) == set()
    assert migrate.current(engine) is None


def test_down_and_up_again_ends_where_it_began(engine: Engine) -> None:
    migrate.downgrade(engine, "base")
    migrate.upgrade(engine)
    assert readiness.problem(engine) is None
    command.check(migrate.config(engine))


@pytest.mark.parametrize("revision", REVISIONS)
def test_each_step_can_be_taken_back(empty_engine: Engine, revision: str) -> None:
    migrate.upgrade(empty_engine, revision)
    assert migrate.current(empty_engine) == revision
    migrate.downgrade(empty_engine, "-1")
    migrate.upgrade(empty_engine, revision)
    assert migrate.current(empty_engine) == revision


def test_there_is_one_head() -> None:
    assert ScriptDirectory.from_config(migrate.config()).get_heads() == [migrate.head()]


def test_migrating_twice_changes_nothing(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(text("INSERT INTO connection (name, site, host) VALUES ('a','b','c')"))
    migrate.upgrade(engine)
    with engine.connect() as transaction:
        assert transaction.execute(text("SELECT count(*) FROM connection")).scalar() == 1


def test_there_is_one_row_of_config_version(engine: Engine) -> None:
    with engine.connect() as transaction:
        rows = transaction.execute(text("SELECT id, version FROM config_version")).all()
    assert [tuple(row) for row in rows] == [(1, 1)]


def test_heartbeats_outlive_the_change_of_their_key(empty_engine: Engine) -> None:
    def add(boot_id: str, worker_id: str, beat_at: str) -> None:
        values = f"'{worker_id}', 'host', 1, '{boot_id}', '0.1.0', '{beat_at}', '{beat_at}', 'x'"
        with empty_engine.begin() as transaction:
            transaction.execute(
                text(
                    "INSERT INTO worker_heartbeat (worker_id, hostname, pid, boot_id, version, "
                    f"started_at, beat_at, state) VALUES ({values})"
                )
            )

    def boots() -> list[str]:
        with empty_engine.connect() as transaction:
            return sorted(transaction.scalars(text("SELECT boot_id FROM worker_heartbeat")))

    def key() -> list[str]:
        return inspect(empty_engine).get_pk_constraint("worker_heartbeat")["constrained_columns"]

    migrate.upgrade(empty_engine, "0011")
    add("boot-1", "host-1", "2026-11-30 10:00:00+00:00")
    add("boot-2", "host-2", "2026-11-30 11:00:00+00:00")
    migrate.upgrade(empty_engine, "0012")
    assert (key(), boots()) == (["boot_id"], ["boot-1", "boot-2"])
    add("boot-3", "host-1", "2026-11-30 12:00:00+00:00")
    migrate.downgrade(empty_engine, "0011")
    assert (key(), boots()) == (["worker_id"], ["boot-2", "boot-3"])


# --- waiting for the schema -------------------------------------------------------------------


def test_an_empty_database_is_a_problem_with_its_cure(empty_engine: Engine) -> None:
    sentence = readiness.problem(empty_engine)
    assert sentence is not None
    assert "nothing" in sentence
    assert "python3 manage.py run" in sentence


def test_an_unknown_newer_schema_is_a_problem(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(text("UPDATE alembic_version SET version_num = 'future'"))
    assert "future" in (readiness.problem(engine) or "")


def test_an_unreachable_database_is_a_problem_without_its_address() -> None:
    engine = make_engine("postgresql://canary:secret@127.0.0.1:1/canary")
    sentence = readiness.problem(engine)
    assert sentence is not None
    assert "cannot be reached" in sentence
    assert "canary" not in sentence
    assert "secret" not in sentence
    own = readiness.problem(engine, in_own_words=True)
    assert own is not None
    assert own.startswith("HAWSER_DATABASE_URL: PostgreSQL cannot be used: connection to server")
    assert "Connection refused" in own
    assert "secret" not in own


def test_a_database_at_head_is_no_problem(engine: Engine) -> None:
    assert readiness.problem(engine) is None


def test_waiting_ends_once_the_schema_is_there_and_reports_each_problem_once(
    empty_engine: Engine,
) -> None:
    reports: list[str] = []
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            migrate.upgrade(empty_engine)

    readiness.wait_until_ready(partial(readiness.problem, empty_engine), pause, reports.append)
    assert pauses == [readiness.RETRY_INTERVAL] * 3
    assert len(reports) == 1
