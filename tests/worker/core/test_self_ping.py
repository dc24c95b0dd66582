"""The arithmetic of messages to ourselves."""

from __future__ import annotations

import pytest

from mqttworker.core import self_ping


def test_the_first_message_is_due_at_once() -> None:
    assert self_ping.begin(30.0, 100.0).due_at == 100.0


def test_the_next_is_due_an_interval_after_the_last() -> None:
    ping, took = self_ping.returned(self_ping.sent(self_ping.begin(30.0, 100.0), 100.0), 1, 100.2)
    assert took == pytest.approx(0.2)
    assert ping.due_at == 130.0
    assert ping.sent_at is None


@pytest.mark.parametrize(("interval", "patience"), [(2.0, 2.0), (30.0, 10.0)])
def test_a_message_is_given_up_after_the_interval_or_ten_seconds(
    interval: float, patience: float
) -> None:
    assert self_ping.sent(self_ping.begin(interval, 0.0), 0.0).due_at == patience


def test_two_misses_in_a_row_break_the_session() -> None:
    ping = self_ping.missed(self_ping.sent(self_ping.begin(5.0, 0.0), 0.0), 5.0)
    assert (ping.misses, ping.is_broken, ping.due_at) == (1, False, 5.0)
    assert self_ping.missed(self_ping.sent(ping, 5.0), 10.0).is_broken


def test_a_message_that_returns_clears_the_misses() -> None:
    ping = self_ping.missed(self_ping.sent(self_ping.begin(5.0, 0.0), 0.0), 5.0)
    ping, _ = self_ping.returned(self_ping.sent(ping, 5.0), 2, 6.0)
    assert ping.misses == 0


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_message_that_was_given_up_is_not_taken_for_the_next(number: int) -> None:
    ping = self_ping.missed(self_ping.sent(self_ping.begin(5.0, 0.0), 0.0), 5.0)
    ping = self_ping.sent(ping, 5.0)
    assert self_ping.returned(ping, number, 6.0) == (ping, None)
