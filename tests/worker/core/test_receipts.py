"""A message sent again makes no second row where that is certain, and nothing else is dropped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqttworker.core.messages import InboundMessage
from mqttworker.core.receipts import RECENT, Receipts


def _message(
    qos: int, identifier: int, payload: bytes = b"x", *, dup: bool = False
) -> InboundMessage:
    return InboundMessage("a", payload, qos, False, dup, identifier)


def _connected() -> Receipts:
    receipts = Receipts()
    receipts.connected(session_present=False)
    return receipts


def _stored(receipts: Receipts, message: InboundMessage, *, is_open: bool = True) -> None:
    assert receipts.is_new(message)
    assert receipts.committed(message, is_open=is_open) is is_open


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_is_acknowledged_once_it_is_committed(qos: int) -> None:
    receipts = _connected()
    message = _message(qos, 7)
    assert receipts.is_new(message)
    assert not receipts.are_settled
    assert receipts.committed(message, is_open=True)
    assert receipts.are_settled


@pytest.mark.parametrize("qos", [1, 2])
def test_one_that_comes_again_before_its_commit_is_acknowledged_with_it(qos: int) -> None:
    receipts = _connected()
    message = _message(qos, 7)
    assert receipts.is_new(message)
    assert not receipts.is_new(_message(qos, 7, dup=True))
    assert not receipts.is_committed(7)
    assert receipts.committed(message, is_open=True)


@pytest.mark.parametrize("qos", [1, 2])
def test_one_that_crosses_its_acknowledgement_is_acknowledged_again(qos: int) -> None:
    receipts = _connected()
    _stored(receipts, _message(qos, 7))
    assert not receipts.is_new(_message(qos, 7, dup=True))
    assert receipts.is_committed(7)


def test_another_message_under_the_same_identifier_is_new() -> None:
    receipts = _connected()
    _stored(receipts, _message(1, 7, b"first"))
    assert receipts.is_new(_message(1, 7, b"second", dup=True))


@pytest.mark.parametrize("is_stored", [True, False])
def test_another_message_under_an_identifier_that_is_not_acknowledged_is_new(
    is_stored: bool,
) -> None:
    receipts = _connected()
    first, second = _message(1, 7, b"first"), _message(1, 7, b"second", dup=True)
    assert receipts.is_new(first)
    if is_stored:
        receipts.committed(first, is_open=False)
    # Its first delivery was lost with a connection of which we read nothing.
    receipts.connected(session_present=True)
    assert receipts.is_new(second)
    assert not receipts.committed(first, is_open=True)
    assert receipts.committed(second, is_open=True)


def test_a_message_that_comes_again_may_have_less_time_left() -> None:
    receipts = _connected()
    message = _message(1, 7)._replace(properties=b"\x02\0\0\0\x3c")
    assert receipts.is_new(message)
    receipts.connected(session_present=True)
    assert not receipts.is_new(message._replace(properties=b"\x02\0\0\0\x32", dup=True))


def test_two_messages_under_one_identifier_are_both_stored_and_both_acknowledged() -> None:
    receipts = _connected()
    first, second = _message(1, 7, b"first"), _message(1, 7, b"second", dup=True)
    assert receipts.is_new(first)
    assert receipts.is_new(second)
    assert receipts.committed(first, is_open=True)
    assert not receipts.are_settled
    assert receipts.committed(second, is_open=True)
    assert receipts.are_settled


def test_of_two_under_one_identifier_none_is_acknowledged_on_the_next_connection() -> None:
    receipts = _connected()
    first, second = _message(1, 7, b"first"), _message(1, 7, b"second")
    assert receipts.is_new(first)
    assert receipts.is_new(second)
    receipts.connected(session_present=True)
    assert not receipts.committed(first, is_open=True)
    assert not receipts.committed(second, is_open=True)


@pytest.mark.parametrize("dup", [True, False])
@pytest.mark.parametrize("is_stored", [True, False])
def test_a_qos_2_message_under_an_unreleased_identifier_is_new_if_it_differs(
    is_stored: bool, dup: bool
) -> None:
    receipts = _connected()
    first = _message(2, 7, b"first")
    assert receipts.is_new(first)
    if is_stored:
        assert receipts.committed(first, is_open=True)
    assert not receipts.is_new(_message(2, 7, b"first", dup=dup)._replace(retain=True))
    other = _message(2, 7, b"first", dup=dup)._replace(topic="b")
    assert receipts.is_new(other)
    second = _message(2, 7, b"second", dup=dup)
    assert receipts.is_new(second)
    # Each is acknowledged: the broker may wait for an answer to each.
    waiting = [other, second] if is_stored else [first, other, second]
    assert [receipts.committed(item, is_open=True) for item in waiting] == [True] * len(waiting)
    assert receipts.are_settled
    assert not receipts.is_new(_message(2, 7, b"second", dup=dup))


class _Kept:
    """What is written down of a session."""

    def __init__(self) -> None:
        self.asked: list[int | None] = []

    def release(self, identifier: int) -> None:
        self.asked.append(identifier)

    def forget(self) -> None:
        self.asked.append(None)


def test_a_release_in_a_kept_session_is_completed_once_it_is_written_down() -> None:
    kept = _Kept()
    receipts = Receipts(kept)
    receipts.connected(session_present=True)
    _stored(receipts, _message(2, 7))
    _stored(receipts, _message(2, 8))
    assert not receipts.release(7)
    assert not receipts.release(7)
    assert not receipts.release(8)
    assert kept.asked == [7, 8]
    # Until then it is the same message, if it comes again.
    assert not receipts.is_new(_message(2, 7, dup=True))
    receipts.connected(session_present=True)
    assert not receipts.release(7)
    # The broker has not asked again on this connection for the other one.
    assert receipts.completed([7, 8]) == [7]
    assert not receipts.may_release(7)
    assert receipts.is_new(_message(2, 7))
    assert kept.asked == [7, 8]


def test_what_was_written_down_is_known_to_the_next_process_and_to_no_other_session() -> None:
    message, other = _message(2, 7), _message(2, 8)
    digests = {item.identifier: Receipts(key=b"session").digest(item) for item in (message, other)}
    receipts = Receipts(_Kept(), b"session", digests)
    receipts.connected(session_present=True)
    assert not receipts.is_new(message._replace(dup=True))
    assert receipts.is_committed(7)
    assert receipts.may_release(7)
    receipts = Receipts(_Kept(), b"another", digests)
    receipts.connected(session_present=True)
    assert receipts.is_new(message._replace(dup=True))


def test_what_was_written_down_of_a_session_that_is_gone_is_removed() -> None:
    kept = _Kept()
    Receipts(kept).connected(session_present=False)
    assert kept.asked == []
    receipts = Receipts(kept, unreleased={7: Receipts().digest(_message(2, 7))})
    receipts.connected(session_present=False)
    assert kept.asked == [None]
    assert receipts.is_new(_message(2, 7))


def test_an_identifier_is_free_once_its_message_is_acknowledged() -> None:
    receipts = _connected()
    _stored(receipts, _message(1, 7))
    assert receipts.is_new(_message(1, 7))


def test_a_qos_2_identifier_is_free_once_its_message_is_released() -> None:
    receipts = _connected()
    _stored(receipts, _message(2, 7))
    assert receipts.may_release(7)
    receipts.released(7)
    assert not receipts.may_release(7)
    assert receipts.is_new(_message(2, 7))


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_committed_without_a_connection_is_known_when_it_comes_again(qos: int) -> None:
    receipts = _connected()
    _stored(receipts, _message(qos, 7), is_open=False)
    receipts.connected(session_present=True)
    assert not receipts.is_new(_message(qos, 7, dup=True))
    assert receipts.is_committed(7)


@pytest.mark.parametrize("qos", [1, 2])
def test_what_waits_for_its_commit_is_known_on_the_next_connection(qos: int) -> None:
    receipts = _connected()
    message = _message(qos, 7)
    assert receipts.is_new(message)
    receipts.connected(session_present=True)
    assert not receipts.is_new(_message(qos, 7, dup=True))
    assert receipts.committed(message, is_open=True)


@pytest.mark.parametrize("qos", [1, 2])
def test_what_is_committed_before_it_comes_again_is_acknowledged_when_it_does(qos: int) -> None:
    receipts = _connected()
    message = _message(qos, 7)
    assert receipts.is_new(message)
    receipts.connected(session_present=True)
    assert not receipts.committed(message, is_open=True)
    assert not receipts.is_new(_message(qos, 7, dup=True))
    assert receipts.is_committed(7)


def test_on_the_next_connection_an_acknowledged_message_is_in_doubt_and_taken() -> None:
    receipts = _connected()
    _stored(receipts, _message(1, 7))
    receipts.connected(session_present=True)
    assert receipts.is_new(_message(1, 7, dup=True))


@pytest.mark.parametrize("qos", [1, 2])
def test_without_the_old_session_nothing_of_it_counts(qos: int) -> None:
    receipts = _connected()
    old, new = _message(qos, 7), _message(qos, 7)
    assert receipts.is_new(old)
    receipts.connected(session_present=False)
    assert receipts.is_new(new)
    # The commit of the old one must not acknowledge the new one.
    assert not receipts.committed(old, is_open=True)
    assert not receipts.are_settled
    assert receipts.committed(new, is_open=True)


def test_only_the_last_acknowledged_messages_are_remembered() -> None:
    receipts = _connected()
    for identifier in range(1, RECENT + 2):
        _stored(receipts, _message(1, identifier))
    assert not receipts.is_new(_message(1, 2, dup=True))
    assert receipts.is_new(_message(1, 1, dup=True))


class _Sender:
    """A broker that keeps the rules: one message an identifier, sent again until acknowledged."""

    def __init__(self) -> None:
        self.receipts = _connected()
        self.unacknowledged: dict[int, bytes] = {}
        self.waiting: list[InboundMessage] = []
        self.stored: list[bytes] = []
        self.sent = 0

    def send(self, identifier: int) -> None:
        if identifier in self.unacknowledged:
            self._deliver(identifier, dup=True)
            return
        self.sent += 1
        self.unacknowledged[identifier] = str(self.sent).encode()
        self._deliver(identifier, dup=False)

    def _deliver(self, identifier: int, *, dup: bool) -> None:
        message = _message(1, identifier, self.unacknowledged[identifier], dup=dup)
        if self.receipts.is_new(message):
            self.waiting.append(message)
        elif self.receipts.is_committed(identifier):
            del self.unacknowledged[identifier]

    def commit(self, *, is_open: bool) -> None:
        for message in self.waiting:
            self.stored.append(message.payload)
            if self.receipts.committed(message, is_open=is_open):
                del self.unacknowledged[message.identifier]
        self.waiting.clear()

    def reconnect(self) -> None:
        self.receipts.connected(session_present=True)
        for identifier in list(self.unacknowledged):
            self._deliver(identifier, dup=True)


@given(
    st.lists(
        st.sampled_from(["commit", "commit in between", "reconnect"]) | st.integers(1, 4),
        max_size=40,
    )
)
def test_whatever_happens_each_message_is_stored_exactly_once(
    course: list[str | int],
) -> None:
    sender = _Sender()
    for act in course:
        if isinstance(act, int):
            sender.send(act)
        elif act == "reconnect":
            sender.reconnect()
        else:
            sender.commit(is_open=act == "commit")
            if act != "commit":
                sender.reconnect()
    sender.commit(is_open=True)
    assert sorted(sender.stored, key=int) == [str(n).encode() for n in range(1, sender.sent + 1)]
    assert not sender.unacknowledged
