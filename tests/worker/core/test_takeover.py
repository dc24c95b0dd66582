"""Two clients with one client id: found out by pattern, bounded in the harm, never presumed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from database.words import ConnectionState as State
from mqttworker.core import events
from mqttworker.core.cause import cause
from mqttworker.core.takeover import WINDOW
from tests.worker.core import lives
from tests.worker.core.lives import Walk

CLOSED = events.Lost(cause("peer_closed"))
SHARED = events.Lost(cause("peer_closed"), alone=False)
HALF_AN_HOUR = 1800.0  # seconds


@dataclass
class Dispute:
    """Our worker against a rival that comes back `rival_gap` seconds after it was thrown out."""

    walk: Walk
    draw: random.Random
    rival_gap: float = 1.0
    #: When we connected and thereby threw the rival out.
    takeovers: list[float] = field(default_factory=list)
    cooldowns: list[float] = field(default_factory=list)

    def run(self, seconds: float, loss: events.Lost = CLOSED) -> None:
        """Let the two fight."""
        end = self.walk.now + seconds
        while self.walk.now + self.walk.wait < end:
            self.walk.due()
            self.walk.on(events.Opened("5"), after=0.01)
            self.takeovers.append(self.walk.now)
            self.walk.on(loss, after=self.rival_gap, draw=self.draw.random())
            if self.walk.state is State.COOLDOWN:
                self.cooldowns.append(self.walk.wait)

    def worst_window(self) -> int:
        """Return the most takeovers in any WINDOW."""
        return max(sum(t <= at < t + WINDOW for at in self.takeovers) for t in self.takeovers)


def _rival_was_there_first(seed: int, gap: float = 1.0) -> Dispute:
    walk = lives.connecting().on(events.Opened("5"), after=0.01)
    dispute = Dispute(walk, random.Random(seed), gap, [walk.now])
    walk.on(CLOSED, after=gap, draw=dispute.draw.random())
    return dispute


def _we_were_there_first(seed: int, gap: float = 1.0) -> Dispute:
    dispute = Dispute(lives.connected(), random.Random(seed), gap)
    dispute.walk.on(CLOSED, after=3600.0, draw=dispute.draw.random())
    return dispute


BEGINNINGS = pytest.mark.parametrize("begin", [_rival_was_there_first, _we_were_there_first])


@BEGINNINGS
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gap", [0.05, 1.0, 3.0, 20.0])
def test_a_rival_is_thrown_out_three_times_in_two_minutes_at_most(
    begin: object, seed: int, gap: float
) -> None:
    assert callable(begin)
    dispute: Dispute = begin(seed, gap)
    dispute.run(HALF_AN_HOUR)
    assert dispute.worst_window() <= 3
    assert dispute.walk.life.why.code == "duplicate_client_id"
    # Sixty seconds, doubling to ten minutes; the first may be stretched by the window.
    assert dispute.cooldowns[0] >= 60
    assert dispute.cooldowns[1:] == pytest.approx(
        [120, 240, 480, 600, 600, 600][: len(dispute.cooldowns) - 1]
    )


@BEGINNINGS
def test_the_verdict_comes_within_three_sessions(begin: object) -> None:
    assert callable(begin)
    dispute: Dispute = begin(1)
    dispute.run(30)
    assert dispute.walk.state is State.COOLDOWN
    assert len(dispute.takeovers) <= 3


def test_two_silent_closes_are_no_verdict() -> None:
    dispute = _rival_was_there_first(1)
    dispute.run(2.0)
    assert len(dispute.takeovers) == 2
    assert dispute.walk.state is State.BACKOFF


def test_a_named_rival_needs_no_pattern() -> None:
    dispute = Dispute(lives.in_cooldown(), random.Random(1))
    dispute.run(HALF_AN_HOUR, events.Lost(cause("session_taken_over")))
    assert dispute.worst_window() <= 2
    assert dispute.cooldowns[:4] == pytest.approx([120, 240, 480, 600])


def test_all_is_well_again_after_the_rival_has_left() -> None:
    dispute = _rival_was_there_first(1)
    dispute.run(300)
    walk = dispute.walk.due().on(events.Opened("5"), after=0.01)
    assert walk.state is State.CONNECTED
    walk.on(CLOSED, after=3600.0)
    assert (walk.state, walk.life.cooldowns) == (State.BACKOFF, 0)
    assert walk.wait <= 1.0


def test_one_more_short_session_is_enough_while_the_verdict_stands() -> None:
    dispute = _rival_was_there_first(1)
    dispute.run(10)
    assert dispute.walk.state is State.COOLDOWN
    dispute.walk.due().on(events.Opened("5"), after=0.01).on(CLOSED, after=10.0)
    assert (dispute.walk.state, dispute.walk.life.cooldowns) == (State.COOLDOWN, 2)


def test_closes_further_apart_than_the_window_are_no_verdict() -> None:
    walk = lives.connecting()
    for _ in range(10):
        walk.on(events.Opened("5"), after=0.01).on(CLOSED, after=20.0)
        assert walk.state is State.BACKOFF
        # Something kept the next try from starting for a while, such as the lease.
        walk.on(events.Postponed(walk.now + 101.0)).due()


def _is_never_suspected(losses: list[tuple[float, events.Event]], rounds: int = 20) -> None:
    """Go through `losses` again and again, opening a session before each that is a Lost."""
    walk = lives.connecting()
    for _ in range(rounds):
        for after, event in losses:
            if isinstance(event, events.Lost):
                walk.on(events.Opened("5"), after=0.01)
            walk.on(event, after=after)
            assert walk.life.why.code != "duplicate_client_id"
            assert walk.state is State.BACKOFF
            walk.due()


def test_a_restart_of_the_broker_is_never_suspected() -> None:
    refused = events.Failed(cause("tcp_refused"))
    _is_never_suspected([(2.0, CLOSED), (0.01, refused), (0.01, refused)])


def test_a_restart_of_the_broker_behind_a_proxy_is_never_suspected() -> None:
    _is_never_suspected([(2.0, CLOSED), (0.01, events.Failed(cause("closed_before_connack")))])


def test_a_closed_door_is_never_suspected() -> None:
    _is_never_suspected([(2.0, events.Lost(cause("peer_closed"), door_open=False))])


def test_a_closed_door_in_between_clears_the_suspicion() -> None:
    shut = events.Lost(cause("peer_closed"), door_open=False)
    _is_never_suspected([(2.0, CLOSED), (2.0, CLOSED), (2.0, shut)])


def test_losses_that_others_share_need_twice_the_evidence() -> None:
    walk = lives.connecting()
    for _ in range(5):
        walk.on(events.Opened("5"), after=0.01).on(SHARED, after=1.0)
        assert walk.state is State.BACKOFF
        walk.due()
    walk.on(events.Opened("5"), after=0.01).on(SHARED, after=1.0)
    assert (walk.state, walk.life.why.code) == (State.COOLDOWN, "duplicate_client_id")


@pytest.mark.parametrize("code", ["keepalive_timeout", "protocol_error", "server_shutting_down"])
def test_losses_with_another_reason_are_never_suspected(code: str) -> None:
    _is_never_suspected([(2.0, events.Lost(cause(code)))])


def test_sessions_that_lasted_are_never_suspected() -> None:
    _is_never_suspected([(31.0, CLOSED)])


def test_who_was_ended_by_another_connection_of_ours_comes_back_and_that_one_cools_down() -> None:
    ended = cause("shared_login_takeover", other="new")
    walk = lives.connected().on(events.Lost(cause("peer_closed"), taken_over=ended), after=100.0)
    assert (walk.state, walk.life.why.code) == (State.BACKOFF, "shared_login_takeover")
    assert walk.wait < 2.0
    assert not walk.life.evidence
    named = lives.connected().on(events.Lost(cause("session_taken_over"), taken_over=ended))
    assert named.state is State.BACKOFF
    gave_way = lives.connected().on(events.RivalNamed(cause("shared_login_takeover", ended="old")))
    assert (gave_way.state, round(gave_way.wait)) == (State.COOLDOWN, 60)
    assert gave_way.commands == (events.Close(),)
