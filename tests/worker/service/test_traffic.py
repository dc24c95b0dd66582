"""What a real worker counts and what it misses, with a real broker."""

from __future__ import annotations

import signal
from typing import Any

from sqlalchemy import Engine, func, select

from database.models import ConnectionTraffic, Message, Subscription, SubscriptionStatus
from database.words import ConnectionState as State
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.worker.service.worker import (
    ONE_DATABASE,
    WorkerProcess,
    add,
    change,
    events,
    status,
)

pytestmark = ONE_DATABASE

QUIET, HEARD = (State.DEGRADED, "subscription_quiet"), (State.CONNECTED, "subscription_heard")


def counted(engine: Engine, number: int, seconds: int) -> tuple[int, int]:
    """Return the messages and bytes that came in, over all minutes or quarter hours."""
    row = ConnectionTraffic
    columns = func.sum(row.messages_in), func.sum(row.bytes_in)
    mine = select(*columns).where(row.connection_id == number, row.seconds == seconds)
    with engine.connect() as transaction:
        found = transaction.execute(mine).one()
    return found[0] or 0, found[1] or 0


def stored(engine: Engine) -> int:
    with engine.connect() as transaction:
        return transaction.scalar(select(func.count()).select_from(Message)) or 0


def is_quiet(engine: Engine, topic_filter: str) -> bool:
    found = heard(engine).get(topic_filter)
    return found is not None and found.quiet_since is not None


def heard(engine: Engine) -> dict[str, Any]:
    """Return the status of each subscription by its Topic Filter."""
    query = select(Subscription.topic_filter, SubscriptionStatus.__table__).join(
        SubscriptionStatus, SubscriptionStatus.subscription_id == Subscription.id
    )
    with engine.connect() as transaction:
        return {row.topic_filter: row for row in transaction.execute(query)}


def test_what_came_is_written_when_the_worker_stops_and_added_to_by_the_next(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    number = add(engine, "plant", mosquitto.port, "a/#", "b")
    with Observer(mosquitto.port) as observer:
        for total in (3, 6):
            worker.start()
            worker.wait_for_states({"plant": State.CONNECTED})
            for topic in ("a/1", "a/2", "b"):
                observer.publish(topic, b"12345", qos=1)
            worker.child.wait_for(lambda: stored(engine) == total, 10.0, "the messages")  # noqa: B023
            worker.child.stop(signal.SIGTERM)
            assert counted(engine, number, 60) == (total, 5 * total)
            assert counted(engine, number, 900) == (total, 5 * total)
            found = heard(engine)
            assert found["a/#"].messages_in == total * 2 / 3
            assert found["b"].messages_in == total / 3
            assert found["b"].last_message_at is not None
            assert status(engine, "plant").messages_in == 3


def test_an_expected_message_that_does_not_come_degrades_until_it_comes(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    number = add(engine, "plant", mosquitto.port, "a/#")
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    with engine.begin() as transaction:
        transaction.execute(Subscription.__table__.update().values(expected_every_s=2))  # type: ignore[attr-defined]
    change(engine, "plant", notes="one every 2 s")
    worker.child.wait_for(lambda: QUIET in events(engine, number), 10.0, "a quiet subscription")
    row = status(engine, "plant")
    assert (row.state, row.detail) == (State.DEGRADED, {"topic_filter": "a/#", "every": 2})
    assert row.connected_since is not None
    worker.child.wait_for(lambda: is_quiet(engine, "a/#"), 10.0, "since when it is quiet")
    with Observer(mosquitto.port) as observer:
        observer.publish("a/1", b"here")
        worker.child.wait_for(lambda: HEARD in events(engine, number), 10.0, "a message")
    assert [state for state, _ in events(engine, number)].count(State.CONNECTING) == 1
