"""Messages on their way out: our own first, within the broker's window and within bounds."""

from __future__ import annotations

import gevent

from tests.support.packets import PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import NO_PUBACK
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.deaf_broker import DeafBroker
from tests.worker.contract.outgoing import SHORT, Told, acknowledge, opened, sent, until, window
from tests.worker.contract.sessions import in_thread, spec_for


def test_our_own_messages_overtake_a_thousand_others(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = window(1, answer_publish=False)
    told, session = opened(scripted_broker, open_try, script)
    for number in range(1_000):
        told.publish(number)
    told.publish("own", patience_s=None)
    assert sent(scripted_broker, session, 1) == [b"0"]
    for number in range(3):
        acknowledge(session, number)
        in_thread(scripted_broker.wait, lambda: len(session.publishes) > number + 1)  # noqa: B023
    assert sent(scripted_broker, session, 4) == [b"0", b"own", b"1", b"2"]


def test_others_leave_one_place_of_the_window_to_us(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = window(2, answer_publish=False)
    told, session = opened(scripted_broker, open_try, script)
    for number in range(10):
        told.publish(number)
    assert sent(scripted_broker, session, 1) == [b"0"]
    told.publish("own", patience_s=None)
    assert sent(scripted_broker, session, 2) == [b"0", b"own"]


def test_a_thousand_at_once_all_come_and_in_order(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    for maximum in (1, 2):
        told, session = opened(scripted_broker, open_try, window(maximum))
        for number in range(1_000):
            told.publish(number, qos=1 + number % 2)
        assert set(told.wait(1_000)) == {""}
        assert [int(item.payload) for item in session.publishes] == list(range(1_000))


def test_what_waits_is_bounded_in_messages_and_the_caller_is_told(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = window(1, answer_publish=False)
    told, session = opened(scripted_broker, open_try, script)
    for number in range(1_100):
        told.publish(number)
    assert told.wait(99) == ["outbound_queue_full"] * 99
    assert str(told.ends[0]).startswith("Too much waits for this broker already: 1000 messages")
    # Our own have a queue of their own.
    told.publish("own", patience_s=None)
    assert sent(scripted_broker, session, 1) == [b"0"]
    acknowledge(session, 0)
    assert sent(scripted_broker, session, 2)[-1] == b"own"


def test_what_has_waited_too_long_is_not_sent_any_more(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = window(1, answer_publish=False)
    told, session = opened(scripted_broker, open_try, script)
    told.publish("first")
    told.publish("late", patience_s=SHORT)
    told.publish("patient")
    assert told.wait(1) == ["outbound_queue_full"]
    assert "was not sent" in str(told.ends[0])
    assert sent(scripted_broker, session, 1) == [b"first"]
    acknowledge(session, 0)
    assert sent(scripted_broker, session, 2) == [b"first", b"patient"]


def test_a_qos_2_message_is_under_way_until_its_pubcomp(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    script = window(1, answer_pubrel=False)
    told, session = opened(scripted_broker, open_try, script)
    told.publish("first", qos=2)
    told.publish("second", qos=2)
    assert sent(scripted_broker, session, 1) == [b"first"]
    acknowledge(session, 0, PacketType.PUBCOMP)
    assert sent(scripted_broker, session, 2) == [b"first", b"second"]
    assert told.ends == [None]


def test_others_are_refused_long_before_our_own_when_the_broker_reads_nothing(
    open_try: OpenTry,
) -> None:
    with DeafBroker() as broker:
        attempt = open_try(spec_for(broker.port, status_topic="", keepalive_s=60))
        attempt.opened()
        told = Told(attempt)
        while not any(told.ends):
            told.publish("x" * 50_000, qos=0)
            gevent.sleep(0.001)
        assert told.wait(1)[-1] == "outbound_queue_full"
        told.publish("own", qos=0, patience_s=None)
        until(lambda: told.ends[-1] is None)
        attempt.session.abort()


def test_others_under_way_are_bounded_in_bytes(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    told, session = opened(scripted_broker, open_try, NO_PUBACK)
    for _ in range(5):
        told.publish("x" * 100_000)
    assert len(sent(scripted_broker, session, 3)) == 3
    told.publish("own", patience_s=None)
    assert sent(scripted_broker, session, 4)[-1] == b"own"
    acknowledge(session, 0)
    sent(scripted_broker, session, 5)
