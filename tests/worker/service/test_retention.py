"""What is removed of messages, what stays, and what the worker says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, insert, select, update

from database.clock import database_now
from database.models import (
    ConnectionTraffic,
    DeadLetter,
    IntakeMark,
    Subscription,
    SubscriptionStatus,
)
from mqttworker.ports.store import LeaseLostError, retention_leftovers
from mqttworker.ports.store.retention import Retention
from mqttworker.service.retention import Keeper
from tests.web import rows
from tests.worker.service import kept
from tests.worker.service.kept import BOOT, DAY, SIZE
from tests.worker.service.worker import ONE_DATABASE, WorkerProcess


@pytest.fixture(autouse=True)
def lease(engine: Engine) -> None:
    kept.hold_lease(engine)


def test_messages_go_when_they_are_too_old_for_their_connection(engine: Engine) -> None:
    plain = rows.record(engine, "plain")
    shorter = rows.record(engine, "shorter", keep_messages_days=2)
    longer = rows.record(engine, "longer", keep_messages_days=90)
    for days in (100, 50, 10, 1):
        for connection_id in (plain, shorter, longer):
            kept.add(engine, connection_id, 3, age=days * DAY)
    store = kept.retention(engine, days=30)
    kept.clean(store)
    assert kept.kept(engine) == {plain: 6, shorter: 3, longer: 9}
    found = kept.totals(engine)
    assert {key: row.messages for key, row in found.items()} == {plain: 6, shorter: 3, longer: 9}
    oldest = found[longer].oldest_at
    assert abs(datetime.now(UTC) - timedelta(days=50) - oldest) < timedelta(minutes=1)


def test_the_oldest_go_when_a_connection_or_all_together_have_too_much(engine: Engine) -> None:
    plain = rows.record(engine, "plain")
    bounded = rows.record(engine, "bounded", keep_messages_mb=1)
    kept.add(engine, plain, 500, age=60)
    kept.add(engine, bounded, 1_500)
    kept.add(engine, plain, 1_000)
    kept.clean(kept.retention(engine, megabytes=10))
    assert kept.kept(engine) == {plain: 1_500, bounded: 1_000}
    store = kept.retention(engine, megabytes=2)
    kept.clean(store)
    # The oldest of all, whosever they are: a limit of its own is no claim.
    assert kept.kept(engine) == {plain: 1_000, bounded: 1_000}
    assert kept.totals(engine)[plain].bytes == 1_000 * SIZE
    kept.add(engine, bounded, 10)
    kept.clean(store)
    assert kept.kept(engine) == {plain: 1_000, bounded: 1_000}
    assert kept.totals(engine)[bounded].messages == 1_000


def test_of_a_deleted_connection_nothing_is_kept(engine: Engine) -> None:
    number = rows.record(engine)
    kept.add(engine, number, 3)
    kept.add(engine, number + 1, 1_200)
    store = kept.retention(engine)
    kept.clean(store)
    assert kept.kept(engine) == {number: 3}
    rows.sql(engine, "DELETE FROM connection")
    kept.clean(store)
    assert kept.kept(engine) == {}
    assert kept.totals(engine) == {}


def test_counts_are_right_again_after_others_removed_rows(engine: Engine) -> None:
    number = rows.record(engine)
    store = kept.retention(engine)
    kept.add(engine, number, 50, age=40 * DAY)
    kept.add(engine, number, 50)
    kept.clean(store)
    assert kept.totals(engine)[number].messages == 50
    rows.sql(engine, "DELETE FROM message")
    kept.clean(kept.retention(engine))
    assert kept.totals(engine) == {}
    kept.add(engine, number, 7)
    kept.clean(kept.retention(engine))
    assert kept.totals(engine)[number].messages == 7


def test_what_plain_sql_left_in_a_row_stops_nothing(engine: Engine) -> None:
    number = rows.record(engine)
    insert_at = (
        "INSERT INTO message (connection_id, received_at, topic, payload, qos) "
        f"VALUES ({number}, :at, '', '', 0)"
    )
    bad = ["nonsense", ""] if engine.dialect.name == "sqlite" else ["infinity", "-infinity"]
    for at in bad:
        rows.sql(engine, insert_at, at=at)
    kept.add(engine, number, 5, age=40 * DAY)
    kept.add(engine, number, 5)
    store = kept.retention(engine)
    assert store.prepare() is None
    kept.clean(store)
    kept.clean(store)
    # A moment that is none may count as old or as new.
    assert 5 <= kept.totals(engine)[number].messages <= 7
    assert kept.totals(engine)[number].messages == kept.kept(engine)[number]


def test_a_worker_without_the_lease_removes_nothing(engine: Engine) -> None:
    number = rows.record(engine)
    kept.add(engine, number, 5, age=40 * DAY)
    with pytest.raises(LeaseLostError):
        kept.clean(Retention(engine, "another", days=30, megabytes=1))
    assert kept.kept(engine) == {number: 5}


def test_what_belongs_to_messages_goes_with_time(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = rows.record(engine)
    _leave_leftovers(engine, number)
    monkeypatch.setattr(retention_leftovers, "KEEP_DEAD_LETTERS", 2)
    kept.clean(kept.retention(engine))
    with engine.connect() as transaction:
        problems = transaction.scalars(select(DeadLetter.problem).order_by(DeadLetter.id)).all()
        traffic = transaction.execute(
            select(ConnectionTraffic.seconds, ConnectionTraffic.messages_in)
        ).all()
        marks = set(transaction.scalars(select(IntakeMark.boot_id)))
        subscriptions = transaction.scalars(select(SubscriptionStatus.subscription_id)).all()
    # Of five the newest two are kept, and one of these belongs to nobody.
    assert problems == ["new"]
    assert {tuple(row) for row in traffic} == {(60, 1), (900, 2), (900, 7)}
    assert marks == {BOOT, "recent"}
    assert subscriptions == [1]


def test_dead_letters_take_no_more_than_is_allowed(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    _leave_leftovers(engine, rows.record(engine))
    rows.sql(engine, "DELETE FROM dead_letter WHERE problem NOT IN ('surplus', 'new')")
    monkeypatch.setattr(retention_leftovers, "KEEP_DEAD_BYTES", 10)
    with engine.begin() as transaction:
        transaction.execute(update(DeadLetter).values(payload=b"123456"))
    kept.clean(kept.retention(engine))
    with engine.connect() as transaction:
        assert transaction.scalars(select(DeadLetter.problem)).all() == ["new"]


def _leave_leftovers(engine: Engine, number: int) -> None:
    letter = {"topic": b"", "payload": b"", "qos": 0, "retain": False, "dup": False}
    counts = dict.fromkeys(
        ("bytes_in", "messages_out", "bytes_out", "messages_dropped", "bytes_dropped"), 0
    )
    with engine.begin() as transaction:
        for owner, age, problem in (
            *((number, 40, "old"), (number, 3, "surplus"), (number, 2, "surplus")),
            *((number, 1, "new"), (number + 1, 1, "nobody's")),
        ):
            at = database_now(-age * DAY)
            row = {**letter, "connection_id": owner, "received_at": at, "problem": problem}
            transaction.execute(insert(DeadLetter).values(row))
        for seconds, days, messages in (
            *((60, 0.0, 1), (60, 0.1, 3), (60, 0.2, 4), (60, 0.3, 5)),
            *((900, 0.1, 2), (900, 7.9, 7), (900, 8.1, 8)),
        ):
            row = {**counts, "connection_id": number, "seconds": seconds, "messages_in": messages}
            at = database_now(-days * DAY)
            transaction.execute(insert(ConnectionTraffic).values(**row, starts_at=at))
        for boot_id, age in ((BOOT, 7_200), ("recent", 60), ("gone", 7_200)):
            mark = {"boot_id": boot_id, "batch": 1, "at": database_now(-age)}
            transaction.execute(insert(IntakeMark).values(mark))
        transaction.execute(
            insert(Subscription).values(id=1, connection_id=number, topic_filter="#")
        )
        for subscription in (1, 2):
            row = {"subscription_id": subscription, "connection_id": number}
            transaction.execute(insert(SubscriptionStatus).values(row))


@ONE_DATABASE
def test_the_worker_keeps_to_the_limits_by_itself(
    engine: Engine, worker: WorkerProcess, process_environment: dict[str, str]
) -> None:
    number = rows.record(engine, is_enabled=False)
    rows.sql(engine, "DELETE FROM worker_lease")
    kept.add(engine, number, 20, age=3 * DAY)
    kept.add(engine, number, 5)
    process_environment["HAWSER_MESSAGE_KEEP_DAYS"] = "2"
    worker.start()
    worker.child.wait_for(lambda: number in kept.totals(engine), 30, "what is kept")
    assert kept.kept(engine) == {number: 5}
    assert kept.totals(engine)[number].messages == 5


@pytest.mark.timing
def test_the_intake_goes_on_beside(engine: Engine) -> None:
    number = rows.record(engine)
    kept.add(engine, number, 4_000, age=40 * DAY)
    kept.add(engine, number, 2_000)
    with kept.intake(engine, number) as waits:
        Keeper(kept.retention(engine, megabytes=1)).clean()
    assert len(waits) > 10
    assert max(waits) < 0.5, sorted(waits)[-5:]
    # What came while the round was going on may be more than is to be kept.
    assert kept.kept(engine)[number] < 2_000 + 50 * len(waits)
    kept.clean(kept.retention(engine, megabytes=1))
    assert kept.totals(engine)[number].bytes <= 1_000_000
    assert kept.totals(engine)[number].messages == kept.kept(engine)[number]
