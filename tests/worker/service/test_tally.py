"""What a tally makes of messages that come, and of those that do not."""

from __future__ import annotations

from typing import Any

import pytest

from mqttworker.core.events import Impaired, Recovered
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import Expectation, Record
from mqttworker.core.traffic import stretches
from mqttworker.ports.accounts import Account, Heard
from mqttworker.service.context import Clock
from mqttworker.service.tally import Tally

WALL = Clock().wall()
#: When the session began, monotonic seconds.
START = 1000.0


class Watch:
    """A tally on a clock that stands until it is moved."""

    def __init__(self, *expectations: Expectation) -> None:
        self.now = START
        self.moved: set[Any] = set()
        record = Record(7, "plant", 1, expectations=expectations)
        self.tally = Tally(record, Clock(lambda: self.now), self.moved)

    def listen(self, at: float, session_at: float | None = START) -> str | None:
        """Return the reason that the connection hears of at `at`, if there is one."""
        self.now = at
        event = self.tally.listen(session_at, at)
        assert event is None or isinstance(event, Impaired | Recovered)
        return event.why.code if event else None

    def receive(self, *topics: str) -> None:
        self.tally.received([InboundMessage(topic, b"x", 0, False, False) for topic in topics])

    def told(self) -> dict[int, Heard]:
        """Return what is written of the Topic Filters."""
        account = Account(7)
        self.tally.settle(account, stretches(WALL))
        return account.heard


@pytest.fixture
def watch() -> Watch:
    return Watch(Expectation(1, "a/#", 60), Expectation(2, "b"))


def test_a_message_that_does_not_come_is_told_once_and_its_end_too(watch: Watch) -> None:
    assert watch.listen(START + 59) is None
    assert watch.listen(START + 60) == "subscription_quiet"
    assert watch.listen(START + 61) is None
    assert watch.told()[1].quiet_since is not None
    watch.receive("b")
    assert watch.listen(START + 62) is None
    watch.receive("a/1")
    assert watch.listen(START + 63) == "subscription_heard"
    assert watch.listen(START + 64) is None
    after = watch.told()
    assert (after[1].quiet_since, after[1].messages_in) == (None, 1)
    assert watch.listen(START + 122) == "subscription_quiet"


def test_a_message_that_is_dropped_has_come_all_the_same(watch: Watch) -> None:
    watch.now = START + 50
    watch.tally.dropped([InboundMessage("a/1", b"x", 0, False, False)])
    assert watch.listen(START + 61) is None


def test_without_a_session_nothing_is_missed(watch: Watch) -> None:
    assert watch.listen(START + 500, session_at=None) is None
    # The next session begins afresh.
    assert watch.listen(START + 559, session_at=START + 500) is None
    assert watch.listen(START + 560, session_at=START + 500) == "subscription_quiet"


def test_what_was_said_of_a_session_ends_with_it(watch: Watch) -> None:
    assert watch.listen(START + 60) == "subscription_quiet"
    assert watch.listen(START + 61, session_at=None) is None
    assert watch.told()[1].quiet_since is None
    assert watch.listen(START + 62, session_at=START + 62) is None


def test_while_we_hold_the_broker_back_silence_means_nothing(watch: Watch) -> None:
    watch.tally.hold_back()
    assert watch.listen(START + 100) is None
    watch.tally.let_go_on()
    assert watch.listen(START + 159) is None
    assert watch.listen(START + 160) == "subscription_quiet"


def test_an_expectation_that_is_taken_back_ends_the_silence(watch: Watch) -> None:
    assert watch.listen(START + 60) == "subscription_quiet"
    watch.tally.follow(Record(7, "plant", 2, expectations=(Expectation(1, "a/#"),)))
    assert watch.listen(START + 61) == "subscription_heard"
    assert watch.told()[1].quiet_since is None


def test_an_expectation_that_is_new_looks_back(watch: Watch) -> None:
    watch.now = START + 100
    watch.receive("b")
    watch.tally.follow(Record(7, "plant", 2, expectations=(Expectation(2, "b", 30),)))
    assert watch.listen(START + 129) is None
    assert watch.listen(START + 130) == "subscription_quiet"


def test_a_row_with_another_filter_begins_at_nothing(watch: Watch) -> None:
    watch.receive("a/1", "a/2")
    watch.tally.follow(Record(7, "plant", 2, expectations=(Expectation(1, "c"),)))
    watch.receive("c")
    assert watch.told()[1].messages_in == 1


def test_a_round_trip_is_written_when_it_changes(watch: Watch) -> None:
    watch.told()
    watch.moved.clear()
    watch.tally.note_round_trip(None)
    assert not watch.moved
    watch.tally.note_round_trip(1.5)
    assert watch.moved == {watch.tally}
    assert watch.tally.traffic().round_trip_ms == 1.5
