"""Expected messages that do not come."""

from __future__ import annotations

from mqttworker.core.events import Impaired, Recovered
from mqttworker.core.quiet import news, overdue
from mqttworker.core.spec import Expectation

MINUTE, HOUR, NONE = Expectation(1, "a/#", 60), Expectation(2, "b", 3600), Expectation(3, "c")
ALL = (MINUTE, HOUR, NONE)
NEVER = float("-inf")


def test_a_filter_is_quiet_when_nothing_came_for_so_long() -> None:
    heard = (1000.0, 1000.0, NEVER)
    assert overdue(ALL, heard, 0.0, 1059.9) == ()
    (found,) = overdue(ALL, heard, 0.0, 1060.0)
    assert (found.expectation, found.since) == (MINUTE, 1060.0)


def test_before_the_session_nothing_could_come() -> None:
    assert overdue(ALL, (NEVER,) * 3, 1000.0, 1059.9) == ()
    assert overdue(ALL, (10.0, 10.0, 10.0), 1000.0, 1059.9) == ()
    assert len(overdue(ALL, (NEVER,) * 3, 1000.0, 1060.0)) == 1


def test_the_longest_overdue_is_named_first() -> None:
    found = overdue(ALL, (4000.0, NEVER, NEVER), 0.0, 5000.0)
    assert [each.expectation for each in found] == [HOUR, MINUTE]
    told = news((), found)
    assert isinstance(told, Impaired)
    assert told.why.detail == {"topic_filter": "b", "every": 3600}


def test_only_a_change_of_what_is_named_is_news() -> None:
    one = overdue(ALL, (NEVER,) * 3, 0.0, 100.0)
    both = overdue(ALL, (NEVER,) * 3, 0.0, 3700.0)
    other = overdue(ALL, (3690.0, NEVER, NEVER), 0.0, 3700.0)
    assert news(one, both) is None
    told = news(both, other)
    assert isinstance(told, Impaired)
    assert told.why.detail["topic_filter"] == "b"
    assert isinstance(news(other, ()), Recovered)
    assert news((), ()) is None
