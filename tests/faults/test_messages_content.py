"""Rows M1 and M2: whatever a message holds is stored as it came, or set aside; nothing blocks."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from database.words import ConnectionState as State
from tests.faults.messages import (
    MessageOracle,
    acknowledged,
    letters,
    numbered,
    numbers,
    rows,
    wait_for_acknowledged,
    wait_for_rows,
)
from tests.faults.stage import Stage, Subject
from tests.support import packets
from tests.support.packets import V5, V311, PacketType
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker

#: Longest packet that is accepted (HAWSER_MAX_PACKET_BYTES), bytes after the fixed header.
LIMIT = 1_048_576
PAYLOADS = [
    b"",
    b"\0",
    b"\0" * 10_000,
    b"\xff\xfe\x80 not UTF-8 \xc3\x28",
    b'{"broken": [1, 2,',
    b"[" * 100_000 + b"]" * 100_000,
    gzip.compress(bytes(1_000_000)),
    bytes(range(256)) * 40,
]
#: Every property that a PUBLISH may have (MQTT 5, section 3.3.2.3) but a Topic Alias.
PROPERTIES = (
    b"\x01\x01"
    b"\x02\x00\x00\x0e\x10"
    b"\x03" + packets.text("text/plain; ü")
    + b"\x08" + packets.text("answers/here")
    + b"\x09\x00\x04\x00\xff\x01\x02"
    + b"\x0b\x07\x0b\x80\x01"
    + b"\x26" + packets.text("key") + packets.text("one")
    + b"\x26" + packets.text("key") + packets.text("two")
)  # fmt: skip
NAMED = {
    "payload_format_indicator": 1,
    "message_expiry_interval": 3_600,
    "content_type": "text/plain; ü",
    "response_topic": "answers/here",
    "correlation_data": "AP8BAg==",
    "subscription_identifier": [7, 128],
    "user_property": [["key", "one"], ["key", "two"]],
}
TOPICS = [
    "höhe/温度/🌡/\u202eübel",
    "/",
    " ",
    "x" * 65_535,
    "<script>alert(1)</script>",
    "a\r\nLOG FORGED",
    "\x1b[31mred",
    "'; DROP TABLE message; --",
    "=cmd|' /C calc'!A0",
]
#: What is no Topic Name, and the reason codes that may say so.
ILLEGAL = {b"a\0b": {0x81}, b"a\xff\xfe": {0x81}, b"a/#": {0x90}, b"": {0x81, 0x82}}
BAD = b"\0bad"
#: Which of some messages the database does not take.
POISON = (5, 6, 40)


@pytest.fixture(params=["stage", pytest.param("postgresql_stage", marks=pytest.mark.postgresql)])
def oracle(request: pytest.FixtureRequest) -> Iterator[MessageOracle]:
    """The oracle on each database."""
    with MessageOracle(request.getfixturevalue(request.param)) as watching:
        yield watching


def _publish(
    version: int, topic: bytes, payload: bytes, packet_id: int, flags: int, properties: bytes = b""
) -> bytes:
    """Return a PUBLISH whose topic may be none; `flags` are QoS and RETAIN."""
    body = struct.pack("!H", len(topic)) + topic
    body += struct.pack("!H", packet_id) if flags & 0x06 else b""
    if version == V5:
        body += packets.remaining_length(len(properties)) + properties
    return packets.packet(PacketType.PUBLISH, body + payload, flags)


# --- M1


def test_m1_every_payload_is_stored_byte_for_byte(oracle: MessageOracle) -> None:
    with ScriptedBroker() as new, ScriptedBroker() as old:
        places = [
            Place(new, oracle.add(new.port, "data/#"), V5, PROPERTIES, NAMED),
            Place(old, oracle.add(old.port, "data/#", protocol="3.1.1"), V311, b"", None),
        ]
        for place in places:
            place.subject.wait(State.CONNECTED)
            _check_payloads(place)
        for place in places:
            place.subject.wait(None, "packet_too_large")
            assert len(rows(place.subject)) == 3 * len(PAYLOADS) + 1


@dataclass(frozen=True, slots=True)
class Place:
    """A broker, the connection to it, and the properties that it sends with each message."""

    broker: ScriptedBroker
    subject: Subject
    version: int
    properties: bytes
    named: dict[str, Any] | None

    def packet(self, payload: bytes, packet_id: int, flags: int) -> bytes:
        """Return a PUBLISH."""
        return _publish(self.version, b"data/x", payload, packet_id, flags, self.properties)


def _check_payloads(place: Place) -> None:
    """Send what must be stored, and then one byte too much."""
    around = len(place.packet(b"", 1, 0x02)) - len(b"\x30\x00")
    longest = bytes(LIMIT - around)
    sent = [(each, qos << 1 | qos % 2) for each in PAYLOADS for qos in (0, 1, 2)]
    sent.append((longest, 0x02))
    session = place.broker.sessions[0]
    for number, (payload, flags) in enumerate(sent, 1):
        session.send(place.packet(payload, number, flags))
    expected = sum(flags > 1 for _, flags in sent)
    place.broker.wait(lambda: len(session.acknowledged) == expected)
    wait_for_rows(place.subject, len(sent))
    found = rows(place.subject)
    assert [row.payload for row in found] == [payload for payload, _ in sent]
    assert [row.qos << 1 | row.retain for row in found] == [flags for _, flags in sent]
    assert all(row.properties == place.named for row in found)
    session.send(place.packet(longest + b"1", 99, 0x02))
    place.broker.wait(lambda: session.closed_at)


# --- M2


def test_m2_every_topic_is_stored_as_it_came(oracle: MessageOracle) -> None:
    with ScriptedBroker() as broker:
        subject = oracle.add(broker.port, "#")
        subject.wait(State.CONNECTED)
        for number, topic in enumerate(TOPICS, 1):
            broker.sessions[0].publish(topic, b"x", qos=1, packet_id=number)
        broker.wait(lambda: len(broker.sessions[0].acknowledged) == len(TOPICS))
        assert [row.topic for row in rows(subject)] == TOPICS
        assert letters(subject) == []


REFUSE = {
    "sqlite": ["""CREATE TRIGGER refuse BEFORE INSERT ON message WHEN NEW.topic = 'data/poison'
                  BEGIN SELECT RAISE(ABORT, 'poison'); END"""],
    "postgresql": ["""CREATE FUNCTION refuse() RETURNS trigger AS $$
                      BEGIN RAISE EXCEPTION 'poison'; END $$ LANGUAGE plpgsql""",
                   """CREATE TRIGGER refuse BEFORE INSERT ON message FOR EACH ROW
                      WHEN (NEW.topic = 'data/poison') EXECUTE FUNCTION refuse()"""],
}  # fmt: skip
ALLOW = {
    "sqlite": ["DROP TRIGGER refuse"],
    "postgresql": ["DROP TRIGGER refuse ON message", "DROP FUNCTION refuse"],
}


@contextmanager
def _refusing(stage: Stage) -> Iterator[None]:
    """Let the database take no message of one topic."""
    dialect = stage.engine.dialect.name
    _execute(stage, REFUSE[dialect])
    try:
        yield
    finally:
        _execute(stage, ALLOW[dialect])


def _execute(stage: Stage, statements: list[str]) -> None:
    with stage.engine.begin() as transaction:
        for statement in statements:
            transaction.execute(text(statement))


def test_m2_what_is_no_topic_or_is_refused_is_set_aside_and_the_rest_is_stored(
    oracle: MessageOracle,
) -> None:
    with ExitStack() as running:
        brokers = [running.enter_context(ScriptedBroker()) for _ in (*ILLEGAL, "poison")]
        subjects = [oracle.add(broker.port, "#") for broker in brokers]
        for subject in subjects:
            subject.wait(State.CONNECTED)
        for broker, topic in zip(brokers, ILLEGAL, strict=False):
            before, after = numbered([0], 1)[0], numbered([2], 1)[0]
            broker.sessions[0].send(before + _publish(V5, topic, BAD, 2, 0x02) + after)
        _check_refused(oracle.stage, brokers[-1], subjects[-1])
        for broker, subject, topic in zip(brokers, subjects, ILLEGAL, strict=False):
            _check_illegal(broker, subject, topic)
        counted = [1] * len(ILLEGAL) + [len(POISON)]
        wait_until(
            lambda: [each.status().messages_set_aside for each in subjects] == counted,
            10.0,
            "the counts",
        )


def _check_refused(stage: Stage, broker: ScriptedBroker, subject: Subject) -> None:
    """Send messages of which the database does not take some."""
    sent = numbered(range(300), 1)
    for number in POISON:
        (sent[number],) = numbered([number], 1, topic="data/poison")
    session = broker.sessions[0]
    with _refusing(stage):
        session.send(b"".join(sent))
        wait_for_acknowledged(broker, session, range(300))
    assert numbers(subject) == [number for number in range(300) if number not in POISON]
    assert len(letters(subject)) == len(POISON)
    assert all("poison" in letter.problem for letter in letters(subject))
    assert session.closed_at is None


def _check_illegal(broker: ScriptedBroker, subject: Subject, topic: bytes) -> None:
    """Look at a connection on which something was no topic: it has ended, and come back."""
    broker.wait_for_connects(2)
    session = broker.sessions[0]
    assert session.disconnect_code in ILLEGAL[topic]
    assert acknowledged(session) == [0, 1, 2]
    assert numbers(subject) == [0, 2]
    (letter,) = letters(subject)
    assert (letter.topic, letter.payload, letter.qos) == (topic, BAD, 1)
    subject.wait(State.CONNECTED)
