"""Counting, and what the minutes are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mqttworker.core.topics import matches
from mqttworker.core.traffic import LONGEST_REMEMBERED, Counts, matching, stretches

_levels = st.sampled_from(["a", "b", "$s", ""])
_topics = st.lists(_levels, min_size=1, max_size=4).map("/".join).filter(bool)
_filters = st.sampled_from(["#", "+/b", "a/#", "a/+/b", "a", "$share/g/a/#", "$s/#"])


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))
def test_every_moment_has_its_minute_and_its_quarter_hour(moment: datetime) -> None:
    minute, quarter = stretches(moment)
    for stretch, seconds in ((minute, 60), (quarter, 900)):
        assert stretch.starts_at <= moment < stretch.starts_at + timedelta(seconds=seconds)
        assert stretch.starts_at.timestamp() % seconds == 0
    assert quarter.starts_at <= minute.starts_at


@given(st.lists(_filters, max_size=4).map(tuple), _topics)
def test_a_topic_belongs_to_every_filter_that_matches_it(
    filters: tuple[str, ...], topic: str
) -> None:
    wanted = tuple(place for place, each in enumerate(filters) if matches(each, topic))
    assert matching(filters, topic) == wanted
    # The second look is from memory.
    assert matching(filters, topic) == wanted


def test_a_long_topic_is_looked_up_too() -> None:
    assert matching(("a/#", "b"), "a/" + "x" * LONGEST_REMEMBERED) == (0,)


def test_counts_are_nothing_until_something_passed() -> None:
    counts = Counts()
    assert not counts
    counts.add(Counts(messages_dropped=1))
    counts.add(Counts(messages_in=2, bytes_in=5))
    assert counts
    assert counts == Counts(messages_in=2, bytes_in=5, messages_dropped=1)
