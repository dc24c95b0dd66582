"""What MQTT allows a broker is let through; what does not fit the conversation is not.

`tests/worker/contract/test_violations.py` plays every single violation to a session.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from mqttworker.core.conformance import Conversation
from mqttworker.core.packets import ViolationError
from tests.support import packets
from tests.support.packets import V5, V311, PacketType, remaining_length, text
from tests.support.violations_5 import ALLOWED, VALUES

PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP = 0x30, 0x40, 0x50, 0x62, 0x70
SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 0x90, 0xB0, 0xD0, 0xE0
BOTH = pytest.mark.parametrize("version", [V311, V5])


def _accepted(version: int) -> Conversation:
    """Return a conversation whose CONNACK has come."""
    made = Conversation(version, clean_start=True)
    _receive(made, packets.connack(version))
    return made


def _receive(conversation: Conversation, whole: bytes) -> bool:
    """Let it judge a packet of less than 128 bytes; what it holds is committed at once.

    Returns whether the packet means anything.
    """
    if whole[0] & 0xF0 != PUBLISH:
        return conversation.receive(whole[0], whole[2:])
    message = conversation.receive_message(whole[0], whole[2:])
    if message.qos and conversation.receipts.is_new(message):
        conversation.receipts.committed(message, is_open=True)
    return True


def _message(version: int, qos: int, identifier: int) -> bytes:
    return packets.publish(version, "a", b"x", qos=qos, packet_id=identifier)


def _is_ignored(conversation: Conversation, whole: bytes) -> bool:
    """Return whether a packet means nothing, and was counted."""
    before = conversation.unasked
    return not _receive(conversation, whole) and conversation.unasked == before + 1


def _refused(conversation: Conversation, whole: bytes) -> ViolationError:
    with pytest.raises(ViolationError) as caught:
        _receive(conversation, whole)
    return caught.value


# --- what is allowed -----------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize(
    "topic", ["a", "/", "a//b", "$SYS/x", "ü/漢字/😀", "\ufeffa", "\ufffe", "\x01\x1f\x7f", "a b"]
)
def test_every_legal_topic_name_is_let_through(version: int, topic: str) -> None:
    _receive(_accepted(version), packets.publish(version, topic, b""))


@BOTH
@pytest.mark.parametrize("flags", [0, 1, 2, 3, 4, 5, 10, 11, 12, 13])
def test_every_legal_flag_of_a_publish_is_let_through(version: int, flags: int) -> None:
    whole = _message(version, flags >> 1 & 3, 7)
    _receive(_accepted(version), bytes([PUBLISH | flags]) + whole[1:])


@pytest.mark.parametrize("kind", [PacketType.PUBLISH, PacketType.CONNACK, PacketType.DISCONNECT])
def test_every_legal_property_is_let_through(kind: PacketType) -> None:
    properties = b"".join(
        bytes([name]) + VALUES[name] for name in sorted(ALLOWED[kind]) if name != 0x23
    )
    block = remaining_length(len(properties)) + properties
    heads = {
        PacketType.PUBLISH: text("a"),
        PacketType.CONNACK: b"\0\0",
        PacketType.DISCONNECT: b"\x8b",
    }
    made = Conversation(V5, clean_start=True)
    if kind is not PacketType.CONNACK:
        _receive(made, packets.connack(V5))
    receive = made.receive_message if kind is PacketType.PUBLISH else made.receive
    receive(kind << 4, heads[kind] + block)


def test_what_may_come_more_than_once_may() -> None:
    pair = b"\x26" + text("k") + text("v")
    properties = pair * 3 + b"\x0b\x01\x0b\x02"
    body = text("a") + remaining_length(len(properties)) + properties
    assert _accepted(V5).receive_message(PUBLISH, body).properties == properties


@pytest.mark.parametrize("body", [b"", b"\0", b"\x8e", b"\x8e\0", b"\x98\x05\x1f\0\x02no"])
def test_a_disconnect_may_leave_out_what_it_does_not_need(body: bytes) -> None:
    _accepted(V5).receive(DISCONNECT, body)


@pytest.mark.parametrize("tail", [b"", b"\0", b"\x10", b"\0\0", b"\x87\x05\x1f\0\x02no"])
def test_an_acknowledgement_may_leave_out_what_it_does_not_need(tail: bytes) -> None:
    made = _accepted(V5)
    made.published(7, qos=1)
    made.receive(PUBACK, b"\0\x07" + tail)


@BOTH
def test_a_pingresp_is_let_through_asked_or_not(version: int) -> None:
    _accepted(version).receive(PINGRESP, b"")


@BOTH
def test_a_session_that_was_asked_for_may_be_present(version: int) -> None:
    made = Conversation(version, clean_start=False)
    made.receive(0x20, b"\x01" + packets.connack(version)[3:])
    assert made.is_accepted


@pytest.mark.parametrize("code", [1, 2, 3, 4, 5])
def test_a_broker_without_mqtt_5_may_refuse_as_in_311(code: int) -> None:
    made = Conversation(V5, clean_start=True)
    made.receive(0x20, bytes([0, code]))
    assert not made.is_accepted


# --- what we sent and what answers it --------------------------------------------------------


@BOTH
def test_a_qos_1_exchange_ends_with_its_puback(version: int) -> None:
    made = _accepted(version)
    made.published(7, qos=1)
    assert made.receive(PUBACK, b"\0\x07")
    assert _is_ignored(made, b"\x40\x02\0\x07")


@BOTH
def test_a_qos_2_exchange_goes_its_two_steps(version: int) -> None:
    made = _accepted(version)
    made.published(7, qos=2)
    assert _is_ignored(made, b"\x70\x02\0\x07")
    assert made.receive(PUBREC, b"\0\x07")
    assert _is_ignored(made, b"\x40\x02\0\x07")
    assert made.receive(PUBCOMP, b"\0\x07")
    assert _is_ignored(made, b"\x70\x02\0\x07")


@BOTH
def test_a_qos_2_exchange_may_end_with_a_puback(version: int) -> None:
    made = _accepted(version)
    made.published(7, qos=2)
    assert made.receive(PUBACK, b"\0\x07")
    assert _is_ignored(made, b"\x50\x02\0\x07")


@pytest.mark.parametrize(("version", "is_fine"), [(V311, True), (V5, False)])
def test_only_311_repeats_a_pubrec(version: int, is_fine: bool) -> None:
    made = _accepted(version)
    made.published(7, qos=2)
    made.receive(PUBREC, b"\0\x07")
    assert _is_ignored(made, b"\x50\x02\0\x07") is not is_fine
    # The broker waits for our PUBREL, which is on its way: there is nothing to answer.
    assert made.answer_unasked(PUBREC, b"\0\x07") == b""


@pytest.mark.parametrize(("version", "answer"), [(V311, b""), (V5, b"\x62\x03\0\x07\x92")])
def test_only_mqtt_5_lets_a_broker_forget_a_message_that_was_never_sent(
    version: int, answer: bytes
) -> None:
    assert _accepted(version).answer_unasked(PUBREC, b"\0\x07") == answer
    assert _accepted(version).answer_unasked(PUBCOMP, b"\0\x07") == b""


def test_a_pubrec_that_refuses_ends_the_exchange() -> None:
    made = _accepted(V5)
    made.published(7, qos=2)
    made.receive(PUBREC, b"\0\x07\x87")
    assert _is_ignored(made, b"\x70\x02\0\x07")


@pytest.mark.parametrize("answer", [PUBREC, PUBCOMP])
def test_qos_1_has_no_other_answer_than_puback(answer: int) -> None:
    made = _accepted(V5)
    made.published(7, qos=1)
    assert _is_ignored(made, bytes([answer, 2, 0, 7]))
    assert made.receive(PUBACK, b"\0\x07")


@BOTH
@pytest.mark.parametrize(
    ("answer", "ask"),
    [(SUBACK, Conversation.subscribed), (UNSUBACK, Conversation.unsubscribed)],
)
def test_a_subscribe_and_an_unsubscribe_are_answered_once(
    version: int, answer: int, ask: Callable[[Conversation, int, int], None]
) -> None:
    made = _accepted(version)
    ask(made, 7, 2)
    codes = b"" if answer == UNSUBACK and version == V311 else b"\0\0"
    body = b"\0\x07" + (b"\0" if version == V5 else b"") + codes
    assert made.receive(answer, body)
    assert _is_ignored(made, bytes([answer, len(body)]) + body)


def test_two_answers_to_one_subscribe_do_not_pass_for_two_subscribes() -> None:
    made = _accepted(V5)
    made.subscribed(1, 1)
    made.subscribed(2, 1)
    made.receive(SUBACK, b"\0\x02\0\0")
    made.receive(SUBACK, b"\0\x01\0\0")


# --- what the broker sent and what we answered -------------------------------------------------


@BOTH
def test_a_qos_2_message_is_known_until_it_is_completed(version: int) -> None:
    made = _accepted(version)
    _receive(made, _message(version, 2, 7))
    made.acknowledged(PUBREC, 7, 0)
    assert made.receipts.may_release(7)
    made.receive(PUBREL, struct.pack("!H", 7))
    made.acknowledged(PUBCOMP, 7, 0)
    assert not made.receipts.may_release(7)


def test_a_qos_2_message_that_we_refused_is_not_known_any_more() -> None:
    made = _accepted(V5)
    _receive(made, _message(V5, 2, 7))
    made.acknowledged(PUBREC, 7, 0x80)
    assert not made.receipts.may_release(7)


def test_a_violation_says_what_was_wrong_and_nothing_that_was_sent() -> None:
    error = _refused(_accepted(V5), packets.publish(V5, "secret/#", b"secret"))
    assert str(error) == "a Topic Name that holds a wildcard"
    error = _refused(_accepted(V5), b"\x40\x02\0\0")
    assert str(error) == "Packet Identifier 0 in a PUBACK"
