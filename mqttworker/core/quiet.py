"""Topic Filters by which an expected message has not come. Times are monotonic seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mqttworker.core.cause import cause
from mqttworker.core.events import Impaired, Recovered
from mqttworker.core.spec import Expectation


@dataclass(frozen=True, slots=True)
class Quiet:
    """A Topic Filter whose message is overdue."""

    expectation: Expectation
    #: Since when.
    since: float


#: The longest overdue first.
AllQuiet = tuple[Quiet, ...]


def overdue(
    expectations: Sequence[Expectation], heard: Sequence[float], listening: float, now: float
) -> AllQuiet:
    """Return what is overdue: nothing came for as long as its operator allows.

    `heard` has the last message by each Topic Filter. Before `listening`, when the session
    began or messages were taken again, nothing could come.
    """
    found = [
        Quiet(each, since)
        for each, last in zip(expectations, heard, strict=True)
        if each.every_s and now >= (since := max(last, listening) + each.every_s)
    ]
    return tuple(sorted(found, key=lambda quiet: quiet.since))


def news(before: AllQuiet, after: AllQuiet) -> Impaired | Recovered | None:
    """Return what the change means for the connection, None if it shows the same as before.

    One Topic Filter is named, the longest overdue: a timeline is no place for all of them.
    """
    if not after:
        return Recovered(cause("subscription_heard")) if before else None
    shown = after[0].expectation
    if before and before[0].expectation == shown:
        return None
    return Impaired(
        cause("subscription_quiet", topic_filter=shown.topic_filter, every=shown.every_s)
    )
