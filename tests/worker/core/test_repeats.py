"""A trouble that goes on is told now and then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mqttworker.core.repeats import TOLD_AGAIN_AFTER, Repeats

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_the_same_trouble_is_told_every_ten_minutes() -> None:
    repeats = Repeats()
    told = [n for n in range(3600) if repeats.is_news(1, "tcp_refused", NOON + n * SECOND)]
    assert told == [0, 600, 1200, 1800, 2400, 3000]


def test_another_trouble_or_another_connection_is_news() -> None:
    repeats = Repeats()
    assert repeats.is_news(1, "tcp_refused", NOON)
    assert repeats.is_news(1, "success", NOON)
    assert repeats.is_news(1, "tcp_refused", NOON)
    assert repeats.is_news(2, "tcp_refused", NOON)


def test_a_clock_that_was_set_back_does_not_silence_anything() -> None:
    repeats = Repeats()
    assert repeats.is_news(1, "tcp_refused", NOON)
    assert repeats.is_news(1, "tcp_refused", NOON - TOLD_AGAIN_AFTER)


def test_what_was_forgotten_is_news_again() -> None:
    repeats = Repeats()
    assert repeats.is_news(1, "disabled", NOON)
    repeats.forget(1)
    assert repeats.is_news(1, "disabled", NOON)
