"""Who has fallen silent? Not those who were heard, and nobody after a pause of the machine."""

from __future__ import annotations

import pytest

from mqttworker.core.pulses import FREEZE_LIMIT, HEAD_START, LATE, Pulses, Silence

LIMIT = FREEZE_LIMIT + HEAD_START
TICK = 0.25  # seconds


def _looked_at_until(pulses: Pulses, start: float, end: float) -> list[Silence]:
    """Look every TICK from `start` up to and including `end`; return what the last look says."""
    now, found = start, pulses.look(start)
    while now < end:
        now = min(now + TICK, end)
        found = pulses.look(now)
    return found


def test_a_process_is_silent_once_the_limit_has_passed() -> None:
    pulses = Pulses(100.0)
    pulses.heard(7, 100.0)
    assert _looked_at_until(pulses, 100.0, 100.0 + LIMIT) == []
    assert _looked_at_until(pulses, 100.0 + LIMIT, 104.5) == [Silence(7, 4.5)]


def test_a_pulse_starts_the_time_anew() -> None:
    pulses = Pulses(100.0)
    pulses.heard(7, 100.0)
    _looked_at_until(pulses, 100.0, 103.0)
    pulses.heard(7, 103.0)
    assert _looked_at_until(pulses, 103.0, 103.0 + LIMIT) == []


def test_each_process_is_judged_by_itself() -> None:
    pulses = Pulses(100.0)
    pulses.heard(7, 100.0)
    pulses.heard(8, 102.0)
    assert [silence.pid for silence in _looked_at_until(pulses, 100.0, 105.0)] == [7]


def test_nothing_is_expected_of_a_process_that_was_forgotten() -> None:
    pulses = Pulses(100.0)
    pulses.heard(7, 100.0)
    pulses.forget(7)
    pulses.forget(8)
    assert _looked_at_until(pulses, 100.0, 110.0) == []


@pytest.mark.parametrize("pause", [LATE + 0.01, 3600.0])
def test_after_a_pause_of_the_listener_all_ages_start_anew(pause: float) -> None:
    pulses = Pulses(100.0)
    pulses.heard(7, 100.0)
    _looked_at_until(pulses, 100.0, 104.0)
    resumed = 104.0 + pause
    assert _looked_at_until(pulses, resumed, resumed + LIMIT) == []
    assert _looked_at_until(pulses, resumed + LIMIT, resumed + LIMIT + TICK) != []


def test_a_listener_that_is_a_little_late_still_judges() -> None:
    pulses = Pulses(100.0)
    pulses.heard(7, 100.0)
    _looked_at_until(pulses, 100.0, 104.0)
    assert [silence.pid for silence in pulses.look(104.0 + LATE)] == [7]
