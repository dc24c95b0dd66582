"""In a session that the broker keeps a QoS 2 message is stored once, whoever is killed."""

from __future__ import annotations

import random
import time
from collections import Counter

import pytest
from sqlalchemy import Engine, select, text, update

from database.models import Message, Subscription, UnreleasedMessage
from database.words import ConnectionState
from tests.support import packets
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.packets import PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.support.scripts import Script
from tests.worker.service.worker import ONE_DATABASE, WorkerProcess, add

pytestmark = pytest.mark.timeout(400)

CONNECTED = {"plant": ConnectionState.CONNECTED}
KEPT = {"clean_session": False, "session_expiry_s": 600, "protocol": "5", "announce_who": False}
#: CONNACK with Session Present, of MQTT 5.
SESSION_PRESENT = packets.packet(PacketType.CONNACK, b"\1\0\0")
MESSAGES, KILLS = 1_200, 4
#: Seconds that a worker may take to start and to store what waits, on a busy machine.
PATIENT = 90.0


def _payloads(engine: Engine) -> list[bytes]:
    with engine.connect() as transaction:
        return [bytes(payload) for payload in transaction.scalars(select(Message.payload))]


def _unreleased(engine: Engine) -> list[int]:
    with engine.connect() as transaction:
        return list(transaction.scalars(select(UnreleasedMessage.packet_identifier)))


def _subscribe_with_qos_2(engine: Engine) -> None:
    with engine.begin() as transaction:
        transaction.execute(update(Subscription).values(qos=2))


def _killed(broker: ScriptedBroker, worker: WorkerProcess) -> Session:
    """Kill the worker and start another; return its session, which the broker had kept."""
    broker.script = Script(connack=None, instead_of_connack=SESSION_PRESENT)
    before = len(broker.connects)
    worker.child.kill()
    worker.start()
    broker.wait(lambda: len(broker.connects) > before, PATIENT)
    session = next(each for each in reversed(broker.sessions) if each.connect)
    broker.wait(lambda: session.filters)
    return session


def test_a_worker_that_was_killed_knows_what_is_not_released(
    engine: Engine, worker: WorkerProcess, scripted_broker: ScriptedBroker
) -> None:
    broker = scripted_broker
    add(engine, "plant", broker.port, "data", **KEPT)
    worker.start()
    worker.wait_for_states(CONNECTED, PATIENT)
    session = broker.sessions[-1]
    for identifier in (1, 2):
        session.publish("data", b"same", qos=2, packet_id=identifier)
    broker.wait(lambda: len(session.acknowledged) == 2)
    session = _killed(broker, worker)
    # One whose PUBREC is lost, and one whose PUBREC has arrived.
    again = packets.publish(packets.V5, "data", b"same", qos=2, packet_id=1)
    session.send(bytes([again[0] | 0x08]) + again[1:])
    session.send(packets.acknowledgement(PacketType.PUBREL, 2))
    broker.wait(lambda: len(session.acknowledged) == 2)
    assert set(session.acknowledged) == {(PacketType.PUBREC, 1), (PacketType.PUBCOMP, 2)}
    assert session.completions == [0]
    # Its removal was committed before the PUBCOMP: the next one is another message.
    assert _unreleased(engine) == [1]
    session = _killed(broker, worker)
    for identifier in (2, 1):
        session.publish("data", b"same", qos=2, packet_id=identifier)
    broker.wait(lambda: len(session.acknowledged) == 2)
    assert _payloads(engine) == [b"same"] * 3


@ONE_DATABASE
def test_a_session_that_is_not_kept_writes_nothing_down(
    engine: Engine, worker: WorkerProcess, mosquitto: Mosquitto
) -> None:
    add(engine, "plant", mosquitto.port, "data")
    _subscribe_with_qos_2(engine)
    with engine.begin() as transaction:
        transaction.execute(
            text(
                "CREATE TRIGGER refuse BEFORE INSERT ON unreleased_message "
                "BEGIN SELECT RAISE(ABORT, 'nothing here'); END"
            )
        )
    worker.start()
    worker.wait_for_states(CONNECTED, PATIENT)
    with Observer(mosquitto.port, ("elsewhere",)) as publisher:
        publisher.publish("data", b"1", qos=2)
        worker.child.wait_for(lambda: _payloads(engine) == [b"1"], PATIENT, "the message")


def test_every_message_of_a_kept_session_is_stored_once_over_kills_of_the_worker(
    engine: Engine, worker: WorkerProcess, mosquitto: Mosquitto
) -> None:
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    add(engine, "plant", mosquitto.port, "data", **KEPT)
    _subscribe_with_qos_2(engine)
    worker.start()
    worker.wait_for_states(CONNECTED, PATIENT)
    published: set[bytes] = set()
    with Observer(mosquitto.port, ("elsewhere",)) as publisher:
        for _ in range(KILLS):
            before = len(set(_payloads(engine)))
            for number in range(len(published), len(published) + MESSAGES // KILLS):
                publisher.publish_soon("data", str(number), qos=2)
                published.add(str(number).encode())
            _wait_for_more(engine, worker, before)
            time.sleep(chance.uniform(0, 0.1))
            worker.child.kill()
            worker.start()
        worker.child.wait_for(lambda: set(_payloads(engine)) == published, PATIENT, "every message")
        worker.child.wait_for(lambda: _unreleased(engine) == [], PATIENT, "every release")
    twice = [payload for payload, count in Counter(_payloads(engine)).items() if count > 1]
    assert twice == [], f"seed {seed}"


def _wait_for_more(engine: Engine, worker: WorkerProcess, before: int) -> None:
    worker.child.wait_for(lambda: len(set(_payloads(engine))) > before, PATIENT, "a message")
