"""What was counted is written once, whatever happens on the way; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, Table, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from database.clock import database_now
from database.models import ConnectionTraffic, SubscriptionStatus, WorkerLease
from database.words import ALL_CONNECTIONS
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import Expectation, Record
from mqttworker.core.traffic import Counts, stretches
from mqttworker.ports.accounts import Account, Heard, Page
from mqttworker.ports.store import LeaseLostError
from mqttworker.ports.store.traffic import TrafficStore
from mqttworker.service.context import Clock
from mqttworker.service.ledger import Ledger
from mqttworker.service.tally import Tally

BOOT = "boot-1"
NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
_traffic: Table = ConnectionTraffic.__table__  # type: ignore[assignment]
_heard: Table = SubscriptionStatus.__table__  # type: ignore[assignment]


@pytest.fixture
def store(engine: Engine) -> TrafficStore:
    """The counters as the holder of the lease sees them."""
    lease = {"slot": 0, "boot_id": BOOT, "expires_at": database_now(60.0)}
    with engine.begin() as transaction:
        transaction.execute(insert(WorkerLease).values(**lease))
    return TrafficStore(engine, BOOT)


def give_lease(engine: Engine, boot_id: str) -> None:
    with engine.begin() as transaction:
        transaction.execute(update(WorkerLease).values(boot_id=boot_id))


def page(messages: int = 3, at: datetime = NOON) -> Page:
    """Return what one connection carried at one moment."""
    account = Account(7)
    account.count(stretches(at), Counts(messages_in=messages, bytes_in=10 * messages))
    account.hear([Heard(70, messages, at, None)])
    return Page([account])


def minutes(engine: Engine, seconds: int = 60, connection_id: int = 7) -> list[tuple[Any, ...]]:
    columns = (_traffic.c.starts_at, _traffic.c.messages_in, _traffic.c.bytes_in)
    mine = (_traffic.c.connection_id == connection_id) & (_traffic.c.seconds == seconds)
    rows = select(*columns).where(mine).order_by(_traffic.c.starts_at)
    with engine.connect() as transaction:
        return [tuple(row) for row in transaction.execute(rows)]


def heard(engine: Engine) -> Any:
    with engine.connect() as transaction:
        return transaction.execute(select(_heard)).one()


def test_what_is_written_later_is_added(engine: Engine, store: TrafficStore) -> None:
    store.write(page(3))
    # Another process in the same minute.
    give_lease(engine, "boot-2")
    TrafficStore(engine, "boot-2").write(page(4))
    TrafficStore(engine, "boot-2").write(page(5, NOON + timedelta(minutes=1)))
    start = NOON.replace(second=0)
    assert minutes(engine) == [(start, 7, 70), (start + timedelta(minutes=1), 5, 50)]
    assert minutes(engine, 900) == [(start, 12, 120)]
    assert heard(engine).messages_in == 12


def test_a_commit_whose_answer_was_lost_is_not_repeated(
    engine: Engine, store: TrafficStore
) -> None:
    store.write(page(1))
    unanswered = page(3)
    store.write(unanswered)
    store.write(unanswered)
    assert minutes(engine) == [(NOON.replace(second=0), 4, 40)]
    assert heard(engine).messages_in == 4


def test_a_page_that_failed_is_written_by_the_next_try(engine: Engine, store: TrafficStore) -> None:
    store.write(page(1))
    failing = page(3)
    good, failing.accounts[0].heard = failing.accounts[0].heard, {}
    failing.accounts[0].hear([Heard(71, None, None, None)])  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        store.write(failing)
    assert minutes(engine) == [(NOON.replace(second=0), 1, 10)]
    failing.accounts[0].heard = good
    store.write(failing)
    assert minutes(engine) == [(NOON.replace(second=0), 4, 40)]


def test_a_quiet_filter_keeps_its_last_message(engine: Engine, store: TrafficStore) -> None:
    store.write(page(3))
    account = Account(7)
    account.hear([Heard(70, 0, None, NOON + timedelta(seconds=60))])
    store.write(Page([account]))
    row = heard(engine)
    assert (row.messages_in, row.last_message_at) == (3, NOON)
    assert row.quiet_since == NOON + timedelta(seconds=60)


def test_minutes_that_nobody_will_look_at_do_not_wait(engine: Engine, store: TrafficStore) -> None:
    account = Account(7)
    for number in range(300):
        account.count(stretches(NOON + timedelta(minutes=number)), Counts(messages_in=1))
    store.write(Page([account]))
    assert 60 <= len(minutes(engine)) <= 62
    assert sum(row[1] for row in minutes(engine, 900)) == 300


# --- from the tallies


def message(topic: str = "a/b", payload: bytes = b"12345") -> InboundMessage:
    return InboundMessage(topic, payload, 1, False, False)


@pytest.fixture
def tally() -> Tally:
    """The tally of connection 7, with two Topic Filters."""
    filters = (Expectation(70, "a/#"), Expectation(71, "+/b"))
    return Tally(Record(7, "plant", 1, expectations=filters), Clock(), set())


def ledger_of(tally: Tally, store: TrafficStore) -> Ledger:
    return Ledger(store, tally._moved, lambda: NOON)


def test_what_cannot_be_written_is_held_and_counted_once(
    engine: Engine, store: TrafficStore, tally: Tally
) -> None:
    ledger = ledger_of(tally, store)
    give_lease(engine, "successor")
    for _ in range(3):
        tally.received([message(), message("a/c")])
        ledger.gather()
        with pytest.raises(LeaseLostError):
            ledger.write()
    give_lease(engine, BOOT)
    ledger.write()
    ledger.write()
    assert minutes(engine) == [(NOON.replace(second=0), 6, 30)]
    by_filter = select(_heard.c.subscription_id, _heard.c.messages_in)
    with engine.connect() as transaction:
        found = {row.subscription_id: row.messages_in for row in transaction.execute(by_filter)}
    assert found == {70: 6, 71: 3}


def test_every_way_of_a_message_is_counted(
    engine: Engine, store: TrafficStore, tally: Tally
) -> None:
    tally.received([message(payload=b"123")])
    tally.dropped([message(payload=b"12"), message(payload=b"1")])
    tally.set_aside(1)
    tally.sent("a/b", 40)
    ledger = ledger_of(tally, store)
    ledger.gather()
    ledger.write()
    with engine.connect() as transaction:
        mine = (_traffic.c.seconds == 60) & (_traffic.c.connection_id == 7)
        row = transaction.execute(select(_traffic).where(mine)).one()
    assert (row.messages_in, row.bytes_in) == (1, 3)
    assert (row.messages_dropped, row.bytes_dropped) == (2, 3)
    assert (row.messages_out, row.bytes_out) == (1, 40)
    total = tally.traffic()
    assert (total.messages_in, total.messages_dropped, total.messages_set_aside) == (1, 2, 1)
    assert total.messages_out == 1


def test_all_connections_together_are_counted_beside_each(
    engine: Engine, store: TrafficStore, tally: Tally
) -> None:
    other = Tally(Record(8, "plant-8", 1), Clock(), tally._moved)
    ledger = ledger_of(tally, store)
    tally.received([message(), message()])
    other.received([message()])
    ledger.gather()
    ledger.write()
    found = [minutes(engine, connection_id=number)[0][1] for number in (7, 8, ALL_CONNECTIONS)]
    assert found == [2, 1, 3]


def test_only_what_moved_is_written(engine: Engine, store: TrafficStore, tally: Tally) -> None:
    ledger = ledger_of(tally, store)
    tally.received([message()])
    for _ in range(2):
        ledger.gather()
        ledger.write()
    assert tally.traffic().messages_in == 1
    assert not tally._moved
    with engine.connect() as transaction:
        assert transaction.scalar(select(func.count()).select_from(_heard)) == 2
