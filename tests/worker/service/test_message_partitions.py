"""On PostgreSQL the worker makes a partition a day ahead and drops old ones whole."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from database.partitions import DEFAULT, name_of
from mqttworker.ports.store import partitions
from mqttworker.ports.store.partitions import AHEAD, LOCK_TIMEOUT, Partitions
from mqttworker.service.retention import Keeper
from tests.web import rows
from tests.worker.service import kept
from tests.worker.service.kept import BOOT, DAY, SIZE

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.parametrize("databases", ["postgresql"], indirect=True),
]


@pytest.fixture(autouse=True)
def lease(engine: Engine) -> None:
    kept.hold_lease(engine)


def day_name(age: int = 0) -> str:
    """Return the name of the partition of `age` days ago."""
    return name_of((datetime.now(UTC) - timedelta(days=age)).date())


def make(engine: Engine, *ages: int) -> None:
    """Make the partitions of days gone by, as a worker did when they came."""
    store = Partitions(engine, BOOT)
    for age in ages:
        assert store.make((datetime.now(UTC) - timedelta(days=age)).date()) is None


def count(engine: Engine, table: str) -> int:
    with engine.connect() as transaction:
        return int(transaction.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


def test_the_days_to_come_get_partitions_before_they_come(engine: Engine) -> None:
    store = kept.retention(engine)
    assert store.prepare() is None
    wanted = {day_name(-ahead) for ahead in range(AHEAD + 1)}
    assert kept.files(engine) == {DEFAULT, *wanted}
    assert store.prepare() is None
    kept.add(engine, 1, 3)
    assert count(engine, day_name()) == 3


def test_what_came_before_its_partition_moves_into_it(engine: Engine) -> None:
    number = rows.record(engine)
    store = kept.retention(engine)
    kept.add(engine, number, 5)
    kept.clean(store)
    assert store.prepare() is None
    assert (count(engine, day_name()), count(engine, DEFAULT)) == (5, 0)
    kept.clean(store)
    assert kept.totals(engine)[number].messages == 5


def test_where_too_much_would_have_to_move_it_stays_and_goes_in_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "MOVED_AT_MOST", 2)
    number = rows.record(engine)
    kept.add(engine, number, 3)
    kept.add(engine, number, 3, age=40 * DAY)
    store = kept.retention(engine)
    assert "more than 2 messages" in (store.prepare() or "")
    assert day_name() not in kept.files(engine)
    assert day_name(-1) in kept.files(engine)
    kept.clean(store)
    assert count(engine, DEFAULT) == kept.kept(engine)[number] == 3


def test_a_day_that_nobody_needs_goes_as_a_file(engine: Engine) -> None:
    plain = rows.record(engine, "plain")
    longer = rows.record(engine, "longer", keep_messages_days=50)
    make(engine, 60, 40)
    for age in (60, 40, 0):
        kept.add(engine, plain, 4, age=age * DAY)
        kept.add(engine, longer, 2, age=age * DAY)
    store = kept.retention(engine)
    kept.clean(store)
    assert kept.files(engine) == {DEFAULT, day_name(40)}
    assert kept.kept(engine) == {plain: 4, longer: 4}
    rows.sql(engine, "UPDATE connection SET keep_messages_days = 0")
    kept.clean(store)
    assert kept.files(engine) == {DEFAULT}
    found = kept.totals(engine)
    assert {key: row.messages for key, row in found.items()} == {plain: 4, longer: 2}
    assert datetime.now(UTC) - found[longer].oldest_at < timedelta(minutes=1)


def test_what_is_too_much_goes_by_whole_days_and_the_rest_by_rows(engine: Engine) -> None:
    number = rows.record(engine)
    make(engine, 3, 2)
    kept.add(engine, number, 1_000, age=3 * DAY)
    kept.add(engine, number, 1_000, age=2 * DAY)
    kept.add(engine, number, 500)
    kept.clean(kept.retention(engine, megabytes=1))
    assert kept.files(engine) == {DEFAULT, day_name(2)}
    assert count(engine, day_name(2)) == 500
    assert kept.totals(engine)[number].bytes == 1_000 * SIZE


def test_a_day_that_is_being_read_goes_by_rows_and_holds_nobody_up(engine: Engine) -> None:
    number = rows.record(engine)
    make(engine, 40, 0)
    kept.add(engine, number, 20, age=40 * DAY)
    store = kept.retention(engine)
    with engine.connect() as reader, kept.intake(engine, number) as waits:
        reader.execute(text("SELECT count(*) FROM message"))
        Keeper(store).clean()
    assert len(waits) > 3
    # The wait for the lock, and the batch itself on a busy machine.
    assert max(waits) < LOCK_TIMEOUT / 1_000 + 0.5, sorted(waits)[-5:]
    assert count(engine, day_name(40)) == 0
    assert day_name(40) in kept.files(engine)
    kept.clean(store)
    assert day_name(40) not in kept.files(engine)
    assert kept.totals(engine)[number].messages == 50 * len(waits)


def test_a_day_waits_for_the_one_before_it_that_is_being_read(engine: Engine) -> None:
    number = rows.record(engine)
    make(engine, 3, 2)
    kept.add(engine, number, 1_000, age=3 * DAY)
    kept.add(engine, number, 1_000, age=2 * DAY)
    kept.add(engine, number, 500)
    with engine.connect() as reader:
        reader.execute(text(f"SELECT count(*) FROM {day_name(3)}"))
        kept.clean(kept.retention(engine, megabytes=1))
    assert count(engine, day_name(3)) == 0
    assert count(engine, day_name(2)) == 500
    assert count(engine, DEFAULT) == 500


def test_what_was_stored_before_there_were_partitions_goes_as_one(engine: Engine) -> None:
    number = rows.record(engine)
    old = made_until(engine, "MINVALUE", 35)
    new = made_until(engine, f"'{midnight(35)}'", -1)
    kept.add(engine, number, 5, age=50 * DAY)
    kept.add(engine, number, 5)
    store = kept.retention(engine)
    assert store.prepare() is None
    assert day_name() not in kept.files(engine), "today is covered already"
    kept.clean(store)
    assert old not in kept.files(engine)
    assert count(engine, new) == 5


def made_until(engine: Engine, start: str, age: int) -> str:
    """Make a partition like that of the migration; return its name."""
    name = day_name(age).replace("message_", "message_until_")
    bounds = f"FROM ({start}) TO ('{midnight(age)}')"
    rows.sql(engine, f"CREATE TABLE {name} PARTITION OF message FOR VALUES {bounds}")
    return name


def midnight(age: int) -> str:
    return f"{datetime.now(UTC) - timedelta(days=age):%Y-%m-%d} 00:00+00"
