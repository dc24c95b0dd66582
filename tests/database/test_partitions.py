"""On PostgreSQL messages are in a partition a day; what reads and writes them does not notice."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Engine, inspect, text

from database import migrate, partitions
from database.session import make_engine
from tests.support.databases import Databases

pytestmark = pytest.mark.postgresql

INSERT = (
    "INSERT INTO message (connection_id, received_at, topic, payload, qos) "
    "VALUES (1, :at, :topic, 'x', 0)"
)


@pytest.fixture
def old(postgresql_databases: Databases) -> Iterator[Engine]:
    """A database from before there were partitions."""
    with postgresql_databases.empty() as url:
        engine = make_engine(url)
        migrate.upgrade(engine, "0004")
        yield engine
        engine.dispose()


def add(engine: Engine, at: datetime, topic: str = "a") -> None:
    with engine.begin() as transaction:
        transaction.execute(text(INSERT), {"at": at, "topic": topic})


def topics(engine: Engine, table: str = "message") -> list[str]:
    with engine.connect() as transaction:
        return list(transaction.scalars(text(f"SELECT topic FROM {table} ORDER BY id")))


def test_what_was_stored_before_is_still_there_and_is_not_copied(old: Engine) -> None:
    now = datetime.now(UTC)
    for days, topic in ((-40, "old"), (0, "new"), (3, "ahead")):
        add(old, now + timedelta(days=days), topic)
    with old.connect() as transaction:
        file = transaction.scalar(text("SELECT pg_relation_filenode('message')"))
    migrate.upgrade(old)
    tomorrow = now.date() + timedelta(days=1)
    carried = partitions.name_of(tomorrow).replace("message_", "message_until_")
    assert topics(old) == ["old", "new", "ahead"]
    assert topics(old, carried) == ["old", "new"]
    assert topics(old, partitions.DEFAULT) == ["ahead"]
    with old.connect() as transaction:
        assert transaction.scalar(text(f"SELECT pg_relation_filenode('{carried}')")) == file


def test_ids_go_on_after_the_way_up_and_down(old: Engine) -> None:
    now = datetime.now(UTC)
    add(old, now)
    migrate.upgrade(old)
    add(old, now)
    migrate.downgrade(old, "0004")
    add(old, now)
    migrate.upgrade(old)
    add(old, now)
    with old.connect() as transaction:
        ids = transaction.scalars(text("SELECT id FROM message ORDER BY id")).all()
    assert ids == [1, 2, 3, 4]
    assert inspect(old).get_pk_constraint("message")["constrained_columns"] == ["id", "received_at"]


def test_topics_are_compared_by_code_point(old: Engine) -> None:
    migrate.upgrade(old)
    for topic in ("b", "B", "ä", "a/b", "a b"):
        add(old, datetime.now(UTC), topic)
    with old.connect() as transaction:
        found = transaction.scalars(text("SELECT topic FROM message ORDER BY topic")).all()
    assert found == sorted(found)


def test_a_name_says_which_day_is_too_late() -> None:
    day = date(2026, 2, 28)
    assert partitions.name_of(day) == "message_y2026m02d28"
    assert partitions.end_of(partitions.name_of(day)) == date(2026, 3, 1)
    assert partitions.end_of("message_until_y2026m02d28") == day
    assert partitions.end_of(partitions.DEFAULT) is None
    assert partitions.is_partition(partitions.DEFAULT)
    assert not partitions.is_partition("message")
    assert not partitions.is_partition("message_totals")
