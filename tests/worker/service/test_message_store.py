"""Batches are stored whole, once, byte for byte; a bad row costs only itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from database.models import DeadLetter, IntakeMark, Message, WorkerLease
from mqttworker.core.letters import Letter
from mqttworker.core.messages import InboundMessage
from mqttworker.core.wire.property_names import as_json
from mqttworker.ports.store import LeaseLostError, Store
from mqttworker.ports.store.unreleased import ReleaseLog
from tests.support import packets

NOW = datetime(2026, 11, 23, 10, 20, 30, 123456, tzinfo=UTC)
#: Refuses one topic, as a database may for reasons of its own.
REFUSE_ONE = {
    "sqlite": (
        "CREATE TRIGGER refuse BEFORE INSERT ON message WHEN NEW.topic = 'bad' "
        "BEGIN SELECT RAISE(ABORT, 'not this one'); END",
    ),
    "postgresql": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.topic = 'bad' THEN RAISE EXCEPTION 'not this one'; END IF; "
        "RETURN NEW; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON message FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
}


@pytest.fixture
def store(engine: Engine) -> Store:
    """The store of the worker that holds the lease."""
    made = Store(engine, boot_id="boot", hostname="host")
    assert made.presence.hold_lease(60.0, 60.0, None).is_held
    return made


def _letter(topic: str = "a", payload: bytes = b"x", **parts: Any) -> Letter:
    values = {"qos": 1, "retain": False, "dup": False, "identifier": 1, **parts}
    return Letter(7, NOW, InboundMessage(topic, payload, **values))


def _rows(engine: Engine, model: type[Any] = Message) -> list[Any]:
    with engine.connect() as transaction:
        return list(transaction.execute(select(model.__table__).order_by(model.__table__.c.id)))


def test_what_is_not_released_is_written_with_its_batch(engine: Engine, store: Store) -> None:
    releases = ReleaseLog()
    for identifier in range(1, 1_001):
        releases.hold(7, identifier, identifier - 2**63)
    releases.hold(8, 1, 5)
    store.messages.write(1, [_letter()], releases)
    assert store.messages.unreleased(7) == {n: n - 2**63 for n in range(1, 1_001)}
    releases = ReleaseLog()
    for identifier in range(1, 1_000):
        releases.release(7, identifier)
    releases.hold(7, 1_000, 9)
    releases.hold(7, 2, 11)
    store.messages.write(2, [], releases)
    assert store.messages.unreleased(7) == {1_000: 9, 2: 11}
    # In the order in which it came: the session ended, and another began.
    releases = ReleaseLog()
    releases.hold(7, 3, 1)
    releases.forget(7)
    releases.hold(7, 4, 2)
    store.messages.write(3, [], releases)
    assert store.messages.unreleased(7) == {4: 2}
    assert store.messages.unreleased(8) == {1: 5}
    assert len(_rows(engine)) == 1


def test_a_message_is_stored_as_it_came(engine: Engine, store: Store) -> None:
    everything = bytes(range(256)) * 3
    letter = _letter("plant/ü/😀", everything, qos=2, retain=True, dup=True)
    assert store.messages.write(1, [letter]) == {}
    (row,) = _rows(engine)
    assert (row.connection_id, row.received_at) == (7, NOW)
    assert (row.topic, bytes(row.payload)) == ("plant/ü/😀", everything)
    assert (row.qos, row.retain, row.dup, row.properties) == (2, True, True, None)


def test_properties_are_stored_by_their_names(engine: Engine, store: Store) -> None:
    found = (
        b"\x01\x01" + b"\x02\0\0\0\x3c" + b"\x03" + packets.text("text/plain")
        + b"\x08" + packets.text("reply/to") + b"\x09\0\x03\0\xff\x01"
        + b"\x0b\x05" + b"\x26" + packets.text("k") + packets.text("ü")
        + b"\x26" + packets.text("k") + packets.text("again")
    )  # fmt: skip
    store.messages.write(1, [_letter(properties=found)])
    (row,) = _rows(engine)
    assert row.properties == {
        "payload_format_indicator": 1,
        "message_expiry_interval": 60,
        "content_type": "text/plain",
        "response_topic": "reply/to",
        "correlation_data": "AP8B",
        "subscription_identifier": [5],
        "user_property": [["k", "ü"], ["k", "again"]],
    }


@given(st.lists(st.tuples(st.text(max_size=40), st.text(max_size=200)), max_size=200))
def test_properties_of_any_length_are_read(pairs: list[tuple[str, str]]) -> None:
    found = b"".join(
        b"\x26" + packets.text(name) + packets.text(value)
        for name, value in pairs
        if "\0" not in name + value
    )
    assert (as_json(found) is None) is (not found)


@pytest.mark.parametrize("number", [1, 4, 5, 49, 500, 1_237])
def test_a_batch_of_any_size_is_stored_in_order(engine: Engine, store: Store, number: int) -> None:
    letters = [_letter(f"t/{n % 7}", str(n).encode(), qos=n % 3) for n in range(number)]
    store.messages.write(1, letters)
    assert [int(row.payload) for row in _rows(engine)] == list(range(number))


def test_a_batch_whose_commit_was_not_heard_of_is_stored_once(engine: Engine, store: Store) -> None:
    letters = [_letter(payload=b"1"), _letter(payload=b"2")]
    store.messages.write(1, letters)
    store.messages.write(1, letters)
    assert len(_rows(engine)) == 2
    # One that did not take effect is written when it is tried again.
    store.messages.write(2, letters)
    assert len(_rows(engine)) == 4
    with engine.connect() as transaction:
        assert transaction.execute(select(IntakeMark.boot_id, IntakeMark.batch)).all() == [
            ("boot", 2)
        ]


def test_a_row_that_the_database_refuses_is_set_aside_and_its_batch_is_stored(
    engine: Engine, store: Store
) -> None:
    with engine.begin() as transaction:
        for statement in REFUSE_ONE[engine.dialect.name]:
            transaction.execute(text(statement))
    letters = [_letter("good", str(n).encode()) for n in range(10)]
    letters.insert(3, _letter("bad", b"first"))
    letters.append(_letter("bad", b"last"))
    aside = store.messages.write(1, letters)
    assert sorted(aside) == [3, 11]
    assert [int(row.payload) for row in _rows(engine)] == list(range(10))
    dead = _rows(engine, DeadLetter)
    assert [(bytes(row.topic), bytes(row.payload)) for row in dead] == [
        (b"bad", b"first"),
        (b"bad", b"last"),
    ]
    assert all("not this one" in row.problem for row in dead)


def test_what_is_flawed_is_set_aside_as_it_came(engine: Engine, store: Store) -> None:
    topic = b"a\0\xff".decode(errors="surrogateescape")
    letters = [_letter("good"), _letter(topic, flaw="text that is not UTF-8")]
    assert store.messages.write(1, letters) == {1: "text that is not UTF-8"}
    assert len(_rows(engine)) == 1
    (dead,) = _rows(engine, DeadLetter)
    assert bytes(dead.topic) == b"a\0\xff"


def test_a_topic_may_be_as_long_as_mqtt_allows(engine: Engine, store: Store) -> None:
    topic = "".join(chr(0x4E00 + n % 20_000) for n in range(21_845))
    assert len(topic.encode()) == 65_535
    assert store.messages.write(1, [_letter(topic)]) == {}
    assert _rows(engine)[0].topic == topic


def test_without_the_table_nothing_is_stored_and_nothing_is_set_aside(
    engine: Engine, store: Store
) -> None:
    with engine.begin() as transaction:
        transaction.execute(text("ALTER TABLE message RENAME TO elsewhere"))
    with pytest.raises(SQLAlchemyError):
        store.messages.write(1, [_letter()])
    assert _rows(engine, DeadLetter) == []
    with engine.begin() as transaction:
        transaction.execute(text("ALTER TABLE elsewhere RENAME TO message"))
    store.messages.write(1, [_letter()])
    assert len(_rows(engine)) == 1


def test_a_worker_that_lost_the_lease_stores_nothing(engine: Engine, store: Store) -> None:
    with engine.begin() as transaction:
        transaction.execute(update(WorkerLease).values(boot_id="successor"))
    with pytest.raises(LeaseLostError):
        store.messages.write(1, [_letter()])
    assert _rows(engine) == []


def test_messages_of_different_days_are_stored_together(engine: Engine, store: Store) -> None:
    days = [Letter(7, NOW + timedelta(days=n), _letter().message) for n in (-400, -1, 0, 1, 400)]
    store.messages.write(1, days)
    with engine.connect() as transaction:
        assert transaction.scalar(select(func.count(Message.id))) == len(days)
