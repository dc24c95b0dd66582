"""Messages arrive byte for byte, in order, and are acknowledged once they were taken."""

from __future__ import annotations

import pytest

from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import SubscriptionSpec
from tests.support import packets
from tests.support.packets import PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.support.scripts import Script
from tests.support.violations_common import valid_packets
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.outgoing import Told
from tests.worker.contract.sessions import Try, in_thread, spec_for

VERSIONS = pytest.mark.parametrize(("protocol", "version"), [("5", 5), ("3.1.1", 4)])
#: What acknowledges something of ours.
UNASKED = (
    PacketType.PUBACK,
    PacketType.PUBREC,
    PacketType.PUBCOMP,
    PacketType.SUBACK,
    PacketType.UNSUBACK,
)
ANYTHING = (SubscriptionSpec("#", 2),)


@pytest.fixture
def listening(scripted_broker: ScriptedBroker, open_try: OpenTry, protocol: str) -> Try:
    """A session that has subscribed to everything."""
    # Without a status topic the broker acknowledges nothing while a test sends.
    spec = spec_for(scripted_broker.port, subscriptions=ANYTHING, status_topic="")
    attempt = open_try(spec, protocol)
    attempt.opened()
    return attempt


@pytest.fixture
def session(scripted_broker: ScriptedBroker, listening: Try) -> Session:
    """The broker's side of it."""
    assert listening
    return scripted_broker.sessions[0]


@VERSIONS
@pytest.mark.parametrize(
    "payload", [b"", b"\x00", b"\xff\xfe\x80", bytes(range(256)) * 1000], ids=len
)
def test_a_payload_arrives_byte_for_byte(
    listening: Try, session: Session, version: int, payload: bytes
) -> None:
    session.send(packets.publish(version, "a/ü", payload, retain=True))
    listening.wait(lambda: listening.messages)
    assert listening.messages == [InboundMessage("a/ü", payload, 0, True, False)]


@VERSIONS
def test_messages_stay_in_order_however_they_are_cut(
    listening: Try, session: Session, version: int
) -> None:
    stream = b"".join(
        packets.publish(version, "a", str(number).encode(), qos=number % 2, packet_id=number + 1)
        for number in range(200)
    )

    def send_in_pieces() -> None:
        for start in range(0, len(stream), 7):
            session.send(stream[start : start + 7])

    in_thread(send_in_pieces)
    listening.wait(lambda: len(listening.messages) == 200)
    assert [int(message.payload) for message in listening.messages] == list(range(200))


@VERSIONS
@pytest.mark.parametrize(("qos", "answer"), [(1, PacketType.PUBACK), (2, PacketType.PUBREC)])
def test_a_message_is_acknowledged_after_it_was_taken(
    scripted_broker: ScriptedBroker,
    listening: Try,
    session: Session,
    version: int,
    qos: int,
    answer: PacketType,
) -> None:
    acknowledged_before: list[object] = []
    listening.on_message = lambda _message: acknowledged_before.extend(session.acknowledged)
    session.publish("a", b"1", qos=qos, packet_id=9)
    in_thread(scripted_broker.wait, lambda: session.acknowledged)
    assert session.acknowledged == [(answer, 9)]
    assert session.version == version
    assert [message.qos for message in listening.messages] == [qos]
    assert acknowledged_before == []


@VERSIONS
def test_a_hundred_messages_in_flight_are_all_acknowledged(
    scripted_broker: ScriptedBroker, listening: Try, session: Session, version: int
) -> None:
    burst = [
        packets.publish(version, "a", b"x", qos=1, packet_id=number) for number in range(1, 101)
    ]
    session.send(b"".join(burst))
    in_thread(scripted_broker.wait, lambda: len(session.acknowledged) == 100)
    assert sorted(identifier for _, identifier in session.acknowledged) == list(range(1, 101))
    assert len(listening.messages) == 100


@pytest.mark.parametrize(("protocol", "version"), [("5", 5)])
def test_properties_of_mqtt_5_do_not_disturb_the_payload(
    listening: Try, session: Session, version: int
) -> None:
    assert version == 5
    # Content Type, Response Topic, User Property, Message Expiry Interval.
    properties = (
        b"\x03" + packets.text("text/plain") + b"\x08" + packets.text("reply")
        + b"\x26" + packets.text("k") + packets.text("v") + b"\x02\0\0\0\x3c"
    )  # fmt: skip
    body = packets.text("a") + packets.remaining_length(len(properties)) + properties + b"body"
    session.send(packets.packet(PacketType.PUBLISH, body))
    listening.wait(lambda: listening.messages)
    assert listening.messages[0].payload == b"body"


@VERSIONS
def test_a_repeated_message_says_so(listening: Try, session: Session, version: int) -> None:
    plain = bytearray(packets.publish(version, "a", b"1", qos=1, packet_id=4))
    plain[0] |= 0x08
    session.send(bytes(plain))
    listening.wait(lambda: listening.messages)
    assert listening.messages[0].dup is True


@VERSIONS
def test_a_release_of_an_unknown_message_is_completed(
    scripted_broker: ScriptedBroker, listening: Try, session: Session, version: int
) -> None:
    session.send(packets.acknowledgement(PacketType.PUBREL, 77))
    in_thread(scripted_broker.wait, lambda: session.acknowledged)
    assert session.acknowledged == [(PacketType.PUBCOMP, 77)]
    # Packet Identifier not found: 3.1.1 has no word for it.
    assert session.completions == [0x92 if version == 5 else 0]
    assert len(listening.events) == 1


@VERSIONS
def test_acknowledgements_that_nobody_asked_for_are_ignored(
    scripted_broker: ScriptedBroker,
    listening: Try,
    session: Session,
    version: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    session.script = Script(answer_pubrel=False)
    unasked = [valid_packets(version)[kind] for kind in UNASKED]
    session.send(b"".join(unasked * 2) + packets.publish(version, "a", b"1", qos=1, packet_id=9))
    in_thread(scripted_broker.wait, lambda: session.acknowledged)
    assert [message.payload for message in listening.messages] == [b"1"]
    assert session.acknowledged == [(PacketType.PUBACK, 9)]
    # Packet Identifier not found, for each PUBREC: 3.1.1 has no word for it.
    assert session.releases == ([(77, 0x92)] * 2 if version == 5 else [])
    assert len(listening.events) == 1
    assert listening.session.is_open
    in_thread(session.close)
    listening.loss()
    assert [record.getMessage() for record in caplog.records] == [
        f"connection 1: the broker acknowledges what was never sent ({number} packets)"
        for number in (1, 10)
    ]


@VERSIONS
def test_a_puback_to_a_qos_2_message_is_its_final_answer(
    listening: Try, session: Session, version: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert session.version == version
    session.script = Script(lowers_qos=True)
    told = Told(listening)
    for qos in (1, 2, 2):
        told.publish("x", qos=qos)
    assert told.wait(3) == ["", "", ""]
    assert [item.is_qos_lowered for item in told.acknowledged] == [False, True, True]
    assert [record.getMessage() for record in caplog.records] == [
        "connection 1: the broker takes QoS 2 as QoS 1"
    ]
    assert session.releases == []
    assert listening.session.is_open


@VERSIONS
def test_a_qos_2_message_that_comes_again_is_taken_once(
    scripted_broker: ScriptedBroker, listening: Try, session: Session, version: int
) -> None:
    first = packets.publish(version, "a", b"once", qos=2, packet_id=9)
    again = bytes([first[0] | 0x08]) + first[1:]
    # The second comes before our PUBREC is out, which then answers both.
    session.send(first + again)
    in_thread(scripted_broker.wait, lambda: session.acknowledged)
    session.send(again)
    in_thread(scripted_broker.wait, lambda: len(session.acknowledged) == 2)
    session.send(packets.acknowledgement(PacketType.PUBREL, 9))
    in_thread(scripted_broker.wait, lambda: session.completions == [0])
    assert [kind for kind, _ in session.acknowledged] == [
        PacketType.PUBREC,
        PacketType.PUBREC,
        PacketType.PUBCOMP,
    ]
    # Once it is complete, the identifier stands for another message.
    session.send(packets.publish(version, "a", b"another", qos=2, packet_id=9))
    listening.wait(lambda: len(listening.messages) == 2)
    assert [message.payload for message in listening.messages] == [b"once", b"another"]
