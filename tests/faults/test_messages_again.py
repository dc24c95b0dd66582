"""Row M4: messages that come again, on the same connection or the next, and all at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from bench import payloads
from database.words import ConnectionState as State
from tests.faults.conftest import Note
from tests.faults.figures import LONG
from tests.faults.messages import (
    MessageOracle,
    locked,
    numbers,
    publish,
    rows,
    wait_for_rows,
)
from tests.faults.stage import Stage, Subject
from tests.support import packets
from tests.support.packets import PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.support.scripts import Script

RETAINED = 100_000 if LONG else 10_000
#: Seconds for what must not come.
A_MOMENT = 0.3
#: A session that the broker keeps.
LASTING = {"clean_session": False, "session_expiry_s": 3_600}
#: CONNACK with Session Present, of MQTT 5.
SESSION_PRESENT = packets.packet(PacketType.CONNACK, b"\1\0\0")
#: As many as tests that use one.
PLACES = 6
#: A scripted broker, and the connection to it.
Place = tuple[ScriptedBroker, Subject]
PUBACK, PUBREC, PUBCOMP = PacketType.PUBACK, PacketType.PUBREC, PacketType.PUBCOMP


@pytest.fixture(scope="module")
def oracle(small_stage: Stage) -> Iterator[MessageOracle]:
    """The oracle, for all tests of this file: they only take time."""
    with MessageOracle(small_stage) as watching:
        yield watching


@pytest.fixture(scope="module")
def places(oracle: MessageOracle) -> Iterator[list[Place]]:
    """A broker for each test, and the connection that has a lasting session there."""
    with ExitStack() as running:
        brokers = [running.enter_context(ScriptedBroker()) for _ in range(PLACES)]
        made = [(each, oracle.add(each.port, "data/#", **LASTING)) for each in brokers]
        for _, subject in made:
            subject.wait(State.CONNECTED)
        yield made


@pytest.fixture
def place(places: list[Place]) -> Place:
    """A place that no other test has."""
    return places.pop()


def message(number: int, qos: int, *, packet_id: int = 1, dup: bool = False) -> bytes:
    """Return a PUBLISH of MQTT 5 with a number."""
    payload = payloads.make(number)
    made = packets.publish(packets.V5, "data/x", payload, qos=qos, packet_id=packet_id)
    return bytes([made[0] | 0x08 * dup]) + made[1:]


def release(packet_id: int) -> bytes:
    """Return a PUBREL."""
    return packets.acknowledgement(PacketType.PUBREL, packet_id)


def said(broker: ScriptedBroker, session: Session, *wanted: tuple[PacketType, int]) -> None:
    """Wait until the client has said these acknowledgements, and no others."""
    broker.wait(lambda: len(session.acknowledged) >= len(wanted))
    assert session.acknowledged == list(wanted)


def next_session(broker: ScriptedBroker, connack: bytes | None = SESSION_PRESENT) -> Session:
    """Break the connection; return the next one, on which the broker answers with `connack`."""
    # For all that come: the worker may look first whether the port is open.
    broker.script = Script(connack=None, instead_of_connack=connack)
    broker.sessions[-1].close()
    broker.wait(lambda: len(broker.connects) == 2)
    session = next(each for each in reversed(broker.sessions) if each.connect)
    if connack is not None:
        broker.wait(lambda: session.filters)
    return session


# --- on the same connection


def test_m4_a_repeat_makes_no_second_row_and_the_next_message_is_another(
    oracle: MessageOracle, place: Place
) -> None:
    broker, subject = place
    session = broker.sessions[0]
    with oracle.database_away(), locked(oracle.stage):
        session.send(message(0, 1) + message(0, 1, dup=True))
        time.sleep(A_MOMENT)
    said(broker, session, (PUBACK, 1))
    session.send(message(0, 1, dup=True))
    said(broker, session, *[(PUBACK, 1)] * 2)
    # Under the same identifier: the same once more, and another that claims to be a repeat.
    session.send(message(0, 1))
    said(broker, session, *[(PUBACK, 1)] * 3)
    session.send(message(1, 1, dup=True))
    said(broker, session, *[(PUBACK, 1)] * 4)
    assert numbers(subject) == [0, 0, 1]


def test_m4_a_qos_2_message_is_stored_once_until_it_is_released(
    oracle: MessageOracle, place: Place
) -> None:
    broker, subject = place
    session = broker.sessions[0]
    with oracle.database_away(), locked(oracle.stage):
        session.send(message(0, 2) + message(0, 2, dup=True))
        time.sleep(A_MOMENT)
    said(broker, session, (PUBREC, 1))
    session.send(message(0, 2, dup=True))
    said(broker, session, *[(PUBREC, 1)] * 2)
    session.send(release(1))
    broker.wait(lambda: session.completions == [0])
    session.send(message(0, 2))
    said(broker, session, *[(PUBREC, 1)] * 2, (PUBCOMP, 1), (PUBREC, 1))
    assert numbers(subject) == [0, 0]


# --- on the next connection of the same session


def test_m4_what_waits_for_its_commit_is_known_on_the_next_connection(
    oracle: MessageOracle, place: Place
) -> None:
    broker, subject = place
    with oracle.database_away(), locked(oracle.stage):
        broker.sessions[0].send(b"".join(message(n, 1 + n % 2, packet_id=n) for n in range(1, 5)))
        time.sleep(A_MOMENT)
        session = next_session(broker)
        session.send(message(1, 2, packet_id=1, dup=True) + message(2, 1, packet_id=2, dup=True))
        time.sleep(A_MOMENT)
        assert session.acknowledged == []
    wait_for_rows(subject, 4)
    time.sleep(A_MOMENT)
    # An answer to what the broker has not sent here could be taken for that to its next message.
    said(broker, session, (PUBREC, 1), (PUBACK, 2))
    session.send(message(3, 2, packet_id=3, dup=True) + message(4, 1, packet_id=4, dup=True))
    said(broker, session, (PUBREC, 1), (PUBACK, 2), (PUBREC, 3), (PUBACK, 4))
    assert numbers(subject) == [1, 2, 3, 4]
    assert broker.sessions[0].acknowledged == []


def test_m4_what_is_stored_while_the_connack_is_awaited_is_acknowledged_when_it_comes_again(
    oracle: MessageOracle, place: Place
) -> None:
    broker, subject = place
    with oracle.database_away(), locked(oracle.stage):
        broker.sessions[0].send(message(0, 1) + message(1, 2, packet_id=2))
        time.sleep(A_MOMENT)
        session = next_session(broker, None)
    wait_for_rows(subject, 2)
    time.sleep(A_MOMENT)
    assert session.acknowledged == []
    session.send(SESSION_PRESENT + message(0, 1, dup=True) + message(1, 2, packet_id=2, dup=True))
    said(broker, session, (PUBACK, 1), (PUBREC, 2))
    assert numbers(subject) == [0, 1]


def test_m4_a_qos_2_message_is_completed_on_the_next_connection(place: Place) -> None:
    broker, subject = place
    first = broker.sessions[0]
    first.send(message(0, 2) + message(1, 2, packet_id=2))
    said(broker, first, (PUBREC, 1), (PUBREC, 2))
    session = next_session(broker)
    # One whose PUBREC has arrived, and one whose PUBREC is lost.
    session.send(release(1) + message(1, 2, packet_id=2, dup=True))
    # The PUBCOMP waits until the release is committed.
    said(broker, session, (PUBREC, 2), (PUBCOMP, 1))
    assert session.completions == [0]
    assert numbers(subject) == [0, 1]


def test_m4_without_the_old_session_the_same_identifier_means_another_message(
    oracle: MessageOracle, place: Place
) -> None:
    broker, subject = place
    with oracle.database_away(), locked(oracle.stage):
        broker.sessions[0].send(message(0, 1))
        time.sleep(A_MOMENT)
        session = next_session(broker, packets.connack(packets.V5))
        session.send(message(1, 1))
        time.sleep(A_MOMENT)
        assert session.acknowledged == []
    said(broker, session, (PUBACK, 1))
    assert numbers(subject) == [0, 1]


# --- all at once


def test_m4_retained_messages_that_come_all_at_once_are_stored_once_each(
    oracle: MessageOracle, note: Note
) -> None:
    stage = oracle.stage
    made = [
        packets.publish(
            packets.V311, f"kept/{number}", payloads.make(number), qos=1,
            packet_id=number % 65_000 + 1, retain=True,
        )
        for number in range(RETAINED)
    ]  # fmt: skip
    publish(stage.mosquitto.port, made, 1)
    subject = oracle.add(stage.mosquitto.port, "kept/#", keepalive_s=2)
    began_at = time.monotonic()
    wait_for_rows(subject, RETAINED)
    note("M4", f"{RETAINED} retained messages stored after", time.monotonic() - began_at, "s")
    assert sorted(n for n in numbers(subject) if n is not None) == list(range(RETAINED))
    assert all(row.retain for row in rows(subject))
    subject.wait(State.CONNECTED)
    assert State.BACKOFF not in [state for state, _ in subject.events()]
