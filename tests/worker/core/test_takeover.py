"""Two clients with one client id: inferred by pattern, bounded in the harm, never presumed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from database.reasons import explain
from database.words import Certainty
from database.words import ConnectionState as State
from mqttworker.core import events
from mqttworker.core.cause import cause
from mqttworker.core.spec import ConnectionSpec, SubscriptionSpec
from mqttworker.core.takeover import LEAST_TRIAL, SHORT_SESSION, with_other_client_id
from tests.worker.core import lives
from tests.worker.core.lives import Walk

CLOSED = events.Lost(cause("peer_closed"))
RESET = events.Lost(cause("connection_reset", error="x"))
SILENCE = events.Lost(cause("keepalive_timeout", seconds=7))
SHARED = events.Lost(cause("peer_closed"), alone=False)
#: The broker hung up on a packet of ours.
HANGS_UP = events.Lost(cause("peer_closed"), unanswered=True)
FOR_EVER = float("inf")
HALF_AN_HOUR = 1800.0  # seconds

#: How a session ends, and after how many seconds, told whether it has our own client id.
End = Callable[[bool], tuple[float, events.Event]]


@dataclass
class Game:
    """One life against a broker: whatever ends its sessions, or refuses them."""

    walk: Walk = field(default_factory=lives.connecting)
    draw: random.Random = field(default_factory=lambda: random.Random(1))
    #: Of each session, whether it had our own client id, and when it was accepted.
    sessions: list[tuple[bool, float]] = field(default_factory=list)
    cooldowns: list[float] = field(default_factory=list)

    def play(self, end: End) -> None:
        """Open the next session and let it end."""
        walk = self.walk
        if walk.state is not State.CONNECTING:
            walk.due()
        (opens,) = walk.commands
        assert isinstance(opens, events.Open)
        own = not opens.with_other_client_id
        after, event = end(own)
        if isinstance(event, events.Failed):
            walk.on(event, after, self.draw.random())
        else:
            walk.on(events.Opened("5"), after=0.01)
            self.sessions.append((own, walk.now))
            self._end(after, event)
        if walk.state is State.COOLDOWN:
            self.cooldowns.append(walk.wait)

    def _end(self, after: float, event: events.Event) -> None:
        walk = self.walk
        ends_at = walk.life.trial_ends_at
        if ends_at is not None and ends_at <= walk.now + after:
            walk.now = ends_at
            assert walk.on(events.Outlived()).commands == (events.Close(),)
            walk.on(events.Closed(), after=0.05)
            assert walk.wait <= 0
            walk.commands = ()
        elif after < FOR_EVER:
            walk.on(event, after, self.draw.random())

    def until_cooldown(self, end: End, most: int = 20) -> int:
        """Play until the verdict; return how many sessions had our own client id."""
        begun = len(self.sessions)
        for _ in range(most):
            self.play(end)
            if self.walk.state is State.COOLDOWN:
                return sum(own for own, _ in self.sessions[begun:])
        pytest.fail(f"no verdict after {most} sessions")


def rival(gap: float, loss: events.Event = CLOSED) -> End:
    """Return what another client with our client id does, which is back after `gap` seconds."""
    return lambda own: (gap, loss) if own else (FOR_EVER, loss)


def always(after: float, loss: events.Event) -> End:
    """Return what a broker does that ends every session."""
    return lambda _own: (after, loss)


def cuts(draw: random.Random) -> End:
    """Return what a bad path does to a connection that is alone on its broker."""

    def cut(_own: bool) -> tuple[float, events.Event]:
        event = draw.choice((CLOSED, RESET, SILENCE))
        if draw.random() < 0.02:
            return 0.1, events.Failed(cause("closed_before_connack"))
        return draw.uniform(0.1, 25.0), replace(event, unanswered=draw.random() < 0.1)

    return cut


# --- nobody else is there -------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_a_connection_alone_on_its_broker_is_cut_200_times_without_a_verdict(seed: int) -> None:
    draw = random.Random(seed)
    game, cut = Game(draw=draw), cuts(draw)
    for _ in range(200):
        game.play(cut)
        assert game.walk.state is State.BACKOFF
        assert game.walk.life.why.code != "duplicate_client_id"


@pytest.mark.parametrize("after", [0.05, 3.0, 20.0, 29.9, 31.0])
@pytest.mark.parametrize("loss", [CLOSED, RESET, HANGS_UP, SHARED], ids=str)
def test_a_broker_that_ends_every_session_is_no_rival(after: float, loss: events.Lost) -> None:
    game = Game()
    for _ in range(50):
        game.play(always(after, loss))
        assert game.walk.state is State.BACKOFF
    if loss in (CLOSED, RESET):
        assert any(not own for own, _ in game.sessions) is (after < SHORT_SESSION)


@pytest.mark.parametrize("cuts", range(1, 7))
def test_some_cuts_and_then_none_are_no_rival(cuts: int) -> None:
    game = Game()
    for _ in range(cuts):
        game.play(always(4.0, RESET))
    while game.walk.state is State.BACKOFF:
        game.play(always(FOR_EVER, CLOSED))
    assert game.walk.state is State.CONNECTED
    assert game.sessions[-1][0]
    assert not game.cooldowns


@pytest.mark.parametrize(
    "failure", ["tcp_refused", "closed_before_connack", "connack_timeout", "server_busy"]
)
def test_another_client_id_that_meets_a_bad_path_proves_nothing(failure: str) -> None:
    game = Game()
    for _ in range(20):
        game.play(lambda own: (0.2, CLOSED) if own else (0.1, events.Failed(cause(failure))))
        assert game.walk.state is State.BACKOFF


def test_a_broker_that_hangs_up_on_each_packet_of_ours_is_no_rival() -> None:
    game = Game()
    for _ in range(20):
        game.play(lambda own: (0.2, HANGS_UP))
        assert game.walk.state is State.BACKOFF
    assert all(own for own, _ in game.sessions)


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
            assert walk.due().commands == (events.Open("5"),)


def test_a_restart_of_the_broker_is_never_suspected() -> None:
    refused = events.Failed(cause("tcp_refused"))
    _is_never_suspected([(2.0, CLOSED), (0.01, refused), (0.01, refused)])


def test_a_restart_of_the_broker_behind_a_proxy_is_never_suspected() -> None:
    _is_never_suspected([(2.0, CLOSED), (0.01, events.Failed(cause("closed_before_connack")))])


def test_a_closed_door_is_never_suspected() -> None:
    _is_never_suspected([(2.0, events.Lost(cause("peer_closed"), door_open=False))])


def test_a_closed_door_in_between_clears_the_suspicion() -> None:
    shut = events.Lost(cause("peer_closed"), door_open=False)
    _is_never_suspected([(2.0, CLOSED), (2.0, shut)])


@pytest.mark.parametrize("code", ["keepalive_timeout", "protocol_error", "server_shutting_down"])
def test_losses_with_another_reason_are_never_suspected(code: str) -> None:
    _is_never_suspected([(2.0, events.Lost(cause(code)))])


def test_sessions_that_lasted_are_never_suspected() -> None:
    _is_never_suspected([(31.0, CLOSED)])


def test_closes_further_apart_than_the_window_are_never_suspected() -> None:
    walk = lives.connecting()
    for _ in range(10):
        walk.on(events.Opened("5"), after=0.01).on(CLOSED, after=20.0)
        assert walk.state is State.BACKOFF
        # Something kept the next try from starting for a while, such as the lease.
        walk.on(events.Postponed(walk.now + 101.0)).due()
        assert walk.commands == (events.Open("5"),)


# --- somebody else is there -----------------------------------------------------------------


@pytest.mark.parametrize("first", [0.0, 3600.0], ids=["rival first", "we first"])
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gap", [0.05, 1.0, 3.0, 20.0, 29.0])
def test_a_rival_is_told_after_three_takeovers_at_most(first: float, seed: int, gap: float) -> None:
    game = Game(draw=random.Random(seed))
    if first:
        game.play(always(first, CLOSED))
    assert game.until_cooldown(rival(gap)) <= 3
    why = game.walk.life.why
    assert (why.code, why.certainty) == ("duplicate_client_id", Certainty.INFERRED)
    assert "let one with another client id stand" in explain(why.code, why.detail)
    assert game.walk.wait == pytest.approx(10.0)


@pytest.mark.parametrize("seed", range(20))
def test_a_rival_that_comes_after_many_cuts_is_told_as_soon(seed: int) -> None:
    draw = random.Random(seed)
    game = Game(draw=draw)
    for _ in range(draw.randrange(30)):
        game.play(cuts(draw))
    game.play(always(3600.0, CLOSED))
    assert game.until_cooldown(rival(draw.uniform(0.05, 25.0))) <= 3


def test_a_rival_is_told_where_another_client_id_is_refused() -> None:
    refused = events.Failed(cause("not_authorized"))
    game = Game()
    sessions = game.until_cooldown(lambda own: (1.0, CLOSED) if own else (0.1, refused))
    assert sessions == 2
    why = game.walk.life.why
    assert (why.code, why.certainty) == ("duplicate_client_id", Certainty.INFERRED)
    assert "was refused" in explain(why.code, why.detail)
    assert game.walk.wait == pytest.approx(10.0)


def test_each_further_short_session_doubles_the_cooldown() -> None:
    game = Game()
    while len(game.cooldowns) < 9:
        game.play(rival(1.0))
    expected = [10, 20, 40, 80, 160, 320, 600, 600, 600]
    assert game.cooldowns == pytest.approx(expected)
    # After the verdict no session has another client id.
    assert [own for own, _ in game.sessions].count(False) == 1


def test_losses_that_others_share_need_twice_the_evidence() -> None:
    game = Game()
    assert game.until_cooldown(rival(1.0, SHARED)) == 5


def test_a_named_rival_needs_no_pattern() -> None:
    game = Game()
    while len(game.cooldowns) < 4:
        game.play(rival(1.0, events.Lost(cause("session_taken_over"))))
    assert game.cooldowns == pytest.approx([60, 120, 240, 480])
    assert len(game.sessions) == 4


def test_all_is_well_again_after_the_rival_has_left() -> None:
    game = Game()
    game.until_cooldown(rival(1.0))
    game.play(always(FOR_EVER, CLOSED))
    walk = game.walk
    assert walk.state is State.CONNECTED
    walk.on(CLOSED, after=3600.0)
    assert (walk.state, walk.life.cooldowns) == (State.BACKOFF, 0)
    assert walk.wait <= 1.0


def test_a_wanted_reconnect_forgets_the_suspicion() -> None:
    game = Game()
    for _ in range(2):
        game.play(rival(1.0))
    game.walk.on(events.Reconnect(cause("operator_reconnect"))).due()
    assert game.walk.commands == (events.Open("5"),)


# --- the session with another client id -----------------------------------------------------


def test_it_does_what_ours_does_and_says_what_it_is_for() -> None:
    game = Game()
    for _ in range(2):
        game.play(rival(1.0))
    walk = game.walk.due().on(events.Opened("5"), after=0.01)
    assert walk.state is State.CONNECTED
    assert f"for {int(LEAST_TRIAL)} s with another client id" in str(walk.life.why)
    assert walk.life.trial_ends_at == pytest.approx(walk.now + LEAST_TRIAL)
    walk.on(events.Outlived(), after=LEAST_TRIAL)
    assert (walk.state, walk.life.why.code) == (State.BACKOFF, "client_id_trial_over")


def test_it_must_stand_twice_as_long_as_the_longest_of_the_others() -> None:
    game = Game()
    for _ in range(2):
        game.play(rival(25.0))
    walk = game.walk.due().on(events.Opened("5"), after=0.01)
    assert walk.life.trial_ends_at == pytest.approx(walk.now + 50.0)


def test_a_session_that_the_broker_keeps_is_left_as_it_is() -> None:
    plain = ConnectionSpec(1, "h", 1883, "a", subscriptions=(SubscriptionSpec("x", 1),))
    kept = replace(plain, clean_session=False, session_expiry_s=100)
    assert with_other_client_id(plain, "b") == replace(plain, client_id="b")
    assert with_other_client_id(kept, "b") == replace(plain, client_id="b", subscriptions=())
    walk = lives.connecting()
    walk.life = replace(walk.life, keeps_session=True)
    game = Game(walk)
    for _ in range(2):
        game.play(rival(1.0))
    walk.due().on(events.Opened("5"), after=0.01)
    assert (walk.state, walk.life.why.code) == (State.DEGRADED, "client_id_trial")


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
