"""What the broker hears acknowledged is in the table, whatever happens to the worker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from sqlalchemy import Engine, select, text

from database.models import Message, WorkerHeartbeat
from database.words import ConnectionState
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.worker.service.worker import ONE_DATABASE, WorkerProcess, add, events, status

CONNECTED = {"plant": ConnectionState.CONNECTED}
DEGRADED = {"plant": ConnectionState.DEGRADED}
KEPT = {"clean_session": False, "session_expiry_s": 600}


@pytest.fixture
def publisher(mosquitto: Mosquitto) -> Iterator[Observer]:
    """Another client of the broker."""
    with Observer(mosquitto.port, ("elsewhere",)) as other:
        yield other


def stored(engine: Engine) -> list[Any]:
    """Return the rows of `message`, oldest first."""
    with engine.connect() as transaction:
        return list(transaction.execute(select(Message.__table__).order_by(Message.id)))


def payloads(engine: Engine) -> list[bytes]:
    """Return what the messages hold, oldest first."""
    return [bytes(row.payload) for row in stored(engine)]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_messages_of_every_qos_are_stored_and_counted(
    worker: WorkerProcess, engine: Engine, mosquitto: Mosquitto, publisher: Observer, protocol: str
) -> None:
    number = add(engine, "plant", mosquitto.port, "data/#", protocol=protocol)
    with engine.begin() as transaction:
        transaction.execute(text("UPDATE subscription SET qos = 2"))
    publisher.publish("data/kept", b"retained", qos=1, retain=True)
    worker.start()
    worker.wait_for_states(CONNECTED)
    for qos in (0, 1, 2):
        publisher.publish(f"data/{qos}", bytes([qos, 0, 255]), qos=qos)
    worker.child.wait_for(lambda: len(stored(engine)) == 4, 10, "four rows")
    found = [
        (row.connection_id, row.topic, bytes(row.payload), row.qos, row.retain)
        for row in stored(engine)
    ]
    assert found == [
        (number, "data/kept", b"retained", 1, True),
        *((number, f"data/{qos}", bytes([qos, 0, 255]), qos, False) for qos in (0, 1, 2)),
    ]
    worker.child.wait_for(lambda: status(engine, "plant").messages_in == 4, 15, "four counted")
    assert status(engine, "plant").bytes_in == 8 + 9


@ONE_DATABASE
def test_a_kept_session_gives_what_came_while_the_worker_was_away(
    worker: WorkerProcess, engine: Engine, mosquitto: Mosquitto, publisher: Observer
) -> None:
    add(engine, "plant", mosquitto.port, "data/#", **KEPT)
    worker.start()
    worker.wait_for_states(CONNECTED)
    assert status(engine, "plant").session_present is False
    worker.child.stop()
    expected = [str(number).encode() for number in range(50)]
    for payload in expected:
        publisher.publish("data/a", payload)
    worker.start()
    worker.wait_for_states(CONNECTED)
    worker.child.wait_for(lambda: len(stored(engine)) >= 50, 10, "fifty rows")
    assert payloads(engine) == expected
    assert status(engine, "plant").session_present is True


@ONE_DATABASE
def test_a_stop_in_the_middle_of_a_stream_loses_nothing_and_stores_nothing_twice(
    worker: WorkerProcess, engine: Engine, mosquitto: Mosquitto, publisher: Observer
) -> None:
    add(engine, "plant", mosquitto.port, "data/#", **KEPT)
    worker.start()
    worker.wait_for_states(CONNECTED)
    expected = [str(number).encode() for number in range(900)]
    flood = threading.Thread(
        target=lambda: [publisher.publish_soon("data/a", item) for item in expected]
    )
    flood.start()
    worker.child.wait_for(lambda: stored(engine), 10, "the first rows")
    assert worker.child.stop() == 0
    flood.join()
    publisher.publish("data/a", b"last")
    worker.start()
    worker.child.wait_for(lambda: b"last" in payloads(engine), 20, "the last row")
    assert payloads(engine) == [*expected, b"last"]


def test_messages_wait_while_they_cannot_be_stored_and_everybody_is_told(
    worker: WorkerProcess, engine: Engine, mosquitto: Mosquitto, publisher: Observer
) -> None:
    number = add(engine, "plant", mosquitto.port, "data/#")
    worker.start()
    worker.wait_for_states(CONNECTED)
    since = status(engine, "plant").connected_since
    with engine.begin() as transaction:
        transaction.execute(text("ALTER TABLE message RENAME TO elsewhere"))
    for payload in (b"1", b"2", b"3"):
        publisher.publish("data/a", payload)
    worker.wait_for_states(DEGRADED)
    assert status(engine, "plant").reason_code == "messages_not_stored"
    worker.child.wait_for(lambda: _beat(engine).messages_waiting == 3, 10, "three that wait")
    assert _beat(engine).intake_problem == "messages_not_stored"
    assert _beat(engine).waiting_since is not None
    with engine.begin() as transaction:
        transaction.execute(text("ALTER TABLE elsewhere RENAME TO message"))
    worker.wait_for_states(CONNECTED)
    assert payloads(engine) == [b"1", b"2", b"3"]
    assert events(engine, number)[-2:] == [
        ("degraded", "messages_not_stored"),
        ("connected", "messages_stored_again"),
    ]
    worker.child.wait_for(lambda: _beat(engine).messages_waiting == 0, 10, "none that waits")
    assert _beat(engine).intake_problem is None
    assert status(engine, "plant").connected_since == since


@ONE_DATABASE
def test_a_broker_that_is_held_back_is_not_held_to_our_messages_to_ourselves(
    tmp_path: Path,
    process_environment: dict[str, str],
    engine: Engine,
    mosquitto: Mosquitto,
    publisher: Observer,
) -> None:
    number = add(engine, "plant", mosquitto.port, "data/#", self_ping_s=1, protocol="5")
    little = process_environment | {"HAWSER_MESSAGE_QUEUE_MESSAGES": "100"}
    with engine.begin() as transaction:
        transaction.execute(text("ALTER TABLE message RENAME TO elsewhere"))
    with WorkerProcess(tmp_path, little, engine) as worker:
        worker.wait_for_states(CONNECTED)
        for item in range(400):
            publisher.publish_soon("data/a", str(item).encode())
        worker.wait_for_states(DEGRADED)
        # Twice as long as after which two messages to ourselves are missed.
        sleep(4.0)
        assert 50 < _beat(engine).messages_waiting < 400
        with engine.begin() as transaction:
            transaction.execute(text("ALTER TABLE elsewhere RENAME TO message"))
        worker.child.wait_for(lambda: len(stored(engine)) == 400, 20, "all rows")
        worker.wait_for_states(CONNECTED)
        worker.child.wait_for(lambda: _beat(engine).messages_waiting == 0, 10, "none that waits")
    told = {reason for _, reason in events(engine, number)}
    assert not told & {"self_ping_missed", "self_ping_failed"}


def _beat(engine: Engine) -> Any:
    with engine.connect() as transaction:
        return transaction.execute(select(WorkerHeartbeat.__table__)).one()
