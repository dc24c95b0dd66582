"""Uptime: what counts as what, and what a ribbon shows."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from database.words import DOWN_STATES
from database.words import ConnectionState as S
from webapp.past import uptime
from webapp.past.uptime import Kind, Mark

START = datetime(2026, 11, 23, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(hours: float) -> datetime:
    return START + hours * HOUR


def mark(
    hours: float,
    state: str,
    previous: str | None = None,
    reason: str = "success",
    origin: str = "broker",
) -> Mark:
    return Mark(at(hours), state, previous, reason, origin)


def day(*marks: Mark, known_until: float = 24) -> list[tuple[Kind, float]]:
    """Return (kind, hours) of each segment of a day."""
    found = uptime.segments(marks, START, at(24), at(known_until))
    assert sum(segment.seconds for segment in found) == 86400
    return [(segment.kind, round(segment.seconds / 3600, 3)) for segment in found]


@pytest.mark.parametrize(
    ("state", "reason", "kind"),
    [
        (S.CONNECTED, "success", Kind.UP),
        (S.DEGRADED, "subscribe_refused", Kind.DEGRADED),
        *((state, "retry", Kind.DOWN) for state in sorted(DOWN_STATES)),
        (S.PENDING, "config_changed", Kind.DOWN),
        (S.STOPPING, "config_changed", Kind.DOWN),
        (S.STOPPING, "disabled", Kind.DISABLED),
        (S.DISABLED, "disabled", Kind.DISABLED),
        (S.STOPPING, "worker_shutdown", Kind.UNKNOWN),
        (S.PENDING, "worker_died", Kind.UNKNOWN),
        ("a later version's state", "success", Kind.UNKNOWN),
    ],
)
def test_each_state_counts_as_one_kind(state: str, reason: str, kind: Kind) -> None:
    assert uptime.kind_of(mark(0, state, reason=reason)) is kind


@pytest.mark.parametrize(("seconds", "kind"), [(10, Kind.UNKNOWN), (11, Kind.DOWN)])
@pytest.mark.parametrize("reason", ["worker_start", "enabled"])
def test_a_start_is_no_downtime_unless_it_takes_long(
    reason: str, seconds: float, kind: Kind
) -> None:
    begun = mark(6, S.CONNECTING, S.PENDING, reason)
    found = uptime.segments(
        [mark(0, S.DISABLED), begun, mark(6 + seconds / 3600, S.CONNECTED)], START, at(24), at(24)
    )
    assert [segment.kind for segment in found] == [Kind.DISABLED, kind, Kind.UP]


def test_nothing_is_known_before_the_first_transition() -> None:
    assert day(mark(6, S.CONNECTED)) == [(Kind.UNKNOWN, 6), (Kind.UP, 18)]
    assert day() == [(Kind.UNKNOWN, 24)]


def test_the_last_transition_before_the_start_tells_how_it_began() -> None:
    assert day(mark(-100, S.BACKOFF), mark(6, S.CONNECTED)) == [(Kind.DOWN, 6), (Kind.UP, 18)]


def test_after_the_last_word_of_a_silent_worker_nothing_is_known() -> None:
    assert day(mark(-1, S.CONNECTED), known_until=10) == [(Kind.UP, 10), (Kind.UNKNOWN, 14)]
    assert day(mark(-1, S.CONNECTED), known_until=-10) == [(Kind.UNKNOWN, 24)]


def test_the_time_without_a_worker_is_no_uptime() -> None:
    marks = (
        mark(-1, S.CONNECTED),
        mark(4, S.PENDING, S.CONNECTED, "worker_died", "worker"),
        mark(10, S.CONNECTING, S.PENDING, "worker_start", "worker"),
        mark(10.5, S.CONNECTED, S.CONNECTING),
    )
    assert day(*marks) == [
        (Kind.UP, 4),
        (Kind.UNKNOWN, 6),
        (Kind.DOWN, 0.5),
        (Kind.UP, 13.5),
    ]


def test_a_time_down_is_told_apart_by_its_reasons() -> None:
    marks = [mark(0, S.CONNECTED), mark(1, S.BACKOFF, S.CONNECTED, "peer_closed")]
    marks += [mark(2, S.CONNECTING, S.BACKOFF, "peer_closed")]
    marks += [mark(3, S.BACKOFF, S.CONNECTING, "tcp_refused")]
    found = uptime.segments(marks, START, at(24), at(24))
    assert [(segment.kind, segment.reason_code, segment.seconds) for segment in found] == [
        (Kind.UP, "success", 3600),
        (Kind.DOWN, "peer_closed", 2 * 3600),
        (Kind.DOWN, "tcp_refused", 21 * 3600),
    ]
    assert ribbon(*marks)[1].reasons == ("peer_closed",)
    assert ribbon(*marks)[3].reasons == ("tcp_refused",)


def test_what_a_start_failed_with_is_the_reason_of_all_its_time() -> None:
    begun = mark(6, S.PENDING, None, "enabled")
    failed = mark(6 + 13 / 3600, S.BACKOFF, S.CONNECTING, "connack_timeout")
    found = uptime.segments([begun, failed], START, at(24), at(24))
    assert [(segment.kind, segment.reason_code) for segment in found] == [
        (Kind.UNKNOWN, ""),
        (Kind.DOWN, "connack_timeout"),
    ]


def test_a_bucket_tells_its_reasons_in_their_order() -> None:
    marks = [mark(4, S.CONNECTED), mark(5.1, S.BACKOFF, S.CONNECTED, "peer_closed")]
    marks += [mark(5.2, S.BACKOFF, S.CONNECTING, "tcp_refused"), mark(5.9, S.CONNECTED)]
    assert ribbon(*marks)[5].reasons == ("peer_closed", "tcp_refused")


def test_a_clock_that_was_set_back_never_makes_time_run_backwards() -> None:
    marks = (mark(6, S.CONNECTED), mark(4, S.BACKOFF), mark(12, S.CONNECTED))
    assert day(*marks) == [(Kind.UNKNOWN, 6), (Kind.DOWN, 6), (Kind.UP, 12)]


def figures(*marks: Mark) -> uptime.Uptime:
    return uptime.measure(uptime.segments(marks, START, at(24), at(24)), marks)


def test_uptime_leaves_out_what_was_not_wanted_or_not_known() -> None:
    found = figures(
        mark(4, S.CONNECTED),
        mark(10, S.DISABLED, S.STOPPING, "disabled", "operator"),
        mark(16, S.CONNECTED),
        mark(18, S.DEGRADED, S.CONNECTED, "subscribe_refused"),
        mark(20, S.BACKOFF, S.DEGRADED, "peer_closed"),
        mark(22, S.CONNECTED),
    )
    assert (found.up_s, found.degraded_s, found.down_s) == (36_000, 7_200, 7_200)
    assert found.percent == pytest.approx(100 * 12 / 14)
    assert found.failures == 1
    assert found.mtbf_s == 12 * 3600


def test_nothing_known_is_no_percentage_and_no_failure_no_mean() -> None:
    assert figures().percent is None
    assert figures(mark(0, S.CONNECTED)).mtbf_s is None


@pytest.mark.parametrize(
    ("state", "previous", "reason", "origin", "failed"),
    [
        (S.BACKOFF, S.CONNECTED, "keepalive_timeout", "network", True),
        (S.COOLDOWN, S.DEGRADED, "session_taken_over", "broker", True),
        (S.PENDING, S.CONNECTED, "worker_died", "worker", True),
        (S.DEGRADED, S.CONNECTED, "self_ping_missed", "broker", False),
        (S.STOPPING, S.CONNECTED, "worker_shutdown", "worker", False),
        (S.STOPPING, S.CONNECTED, "disabled", "operator", False),
        (S.BACKOFF, S.CONNECTED, "operator_reconnect", "operator", False),
        (S.BACKOFF, S.CONNECTING, "tcp_refused", "network", False),
    ],
)
def test_a_failure_is_a_session_that_nobody_here_ended(
    state: S, previous: S, reason: str, origin: str, failed: bool
) -> None:
    assert uptime.is_failure(mark(1, state, previous, reason, origin)) is failed


def test_a_loss_before_the_start_is_no_failure_of_this_time() -> None:
    lost = mark(-2, S.BACKOFF, S.CONNECTED, "peer_closed")
    assert figures(lost, mark(1, S.CONNECTED)).failures == 0


def ribbon(*marks: Mark) -> list[uptime.Bucket]:
    of = uptime.segments(marks, START, at(24), at(24))
    return uptime.buckets(of, START, HOUR, 24)


def test_a_bucket_shows_the_worst_in_it_and_how_much_of_it_was_down() -> None:
    found = ribbon(
        mark(2.5, S.CONNECTED),
        mark(4.25, S.BACKOFF, S.CONNECTED, "peer_closed"),
        mark(4.5, S.DEGRADED, S.CONNECTING, "subscribe_refused"),
        mark(5.5, S.CONNECTED, S.DEGRADED),
    )
    assert [bucket.kind for bucket in found[:7]] == [
        *(Kind.UNKNOWN, Kind.UNKNOWN, Kind.UP, Kind.UP),
        *(Kind.DOWN, Kind.DEGRADED, Kind.UP),
    ]
    assert (found[4].down_s, found[4].share, found[4].reasons) == (900, 0.25, ("peer_closed",))
    assert found[5].reasons == ("subscribe_refused",)


def test_buckets_join_without_gaps_and_what_lies_ahead_is_unknown() -> None:
    of = uptime.segments([mark(0, S.CONNECTED)], START, at(2.5), at(2.5))
    found = uptime.buckets(of, START, HOUR, 4)
    assert [bucket.kind for bucket in found] == [Kind.UP, Kind.UP, Kind.UP, Kind.UNKNOWN]
    assert all(one.end == other.start for one, other in itertools.pairwise(found))
