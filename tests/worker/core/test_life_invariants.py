"""Whatever happens in whatever order, some things always hold."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from database.words import UP_STATES, WAITING_STATES
from database.words import ConnectionState as State
from mqttworker.core import events, life, takeover
from mqttworker.core.backoff import COOLDOWN_CAP, MIN_CONNECT_GAP
from mqttworker.core.cause import cause
from mqttworker.core.life import Life, step

_codes = st.sampled_from(
    [
        "tcp_refused",
        "connack_timeout",
        "closed_before_connack",
        "unsupported_protocol_version",
        "not_authorized",
        "config_error",
        "peer_closed",
        "session_taken_over",
    ]
)
_losses = st.sampled_from(
    ["peer_closed", "connection_reset", "keepalive_timeout", "session_taken_over", "server_busy"]
)
_seconds = st.sampled_from([0.0, 0.001, 0.3, 1.0, 5.0, 14.0, 31.0, 130.0, 3600.0])
_draws = st.floats(0, 1, exclude_max=True)


class AnyLife(RuleBasedStateMachine):
    """A life that meets events at random, also those that make no sense."""

    life: Life
    now: float

    @initialize(protocol=st.sampled_from(["auto", "5", "3.1.1"]), flawed=st.booleans())
    def begin(self, protocol: str, flawed: bool) -> None:
        self.now = 1000.0
        self.life = Life(protocol, 10.0)
        self.flawed = flawed
        self.opened: list[float] = []
        #: A session was asked for and neither closed, aborted nor reported gone.
        self.has_session = False
        self._happen(events.Start(cause("enabled"), cause("config_error") if flawed else None))

    def _happen(self, event: events.Event, draw: float = 0.5) -> None:
        before = self.life
        self.life, commands = step(before, event, self.now, draw)
        assert not before.is_over or (self.life is before and commands == ())
        for command in commands:
            if isinstance(command, events.Open):
                assert not self.has_session
                assert self.life.state is State.CONNECTING
                self.opened.append(self.now)
                self.has_session = True
            elif isinstance(command, events.Abort):
                self.has_session = False
            else:
                is_trial_over = isinstance(event, events.Outlived)
                assert self.life.state is State.STOPPING or is_trial_over

    @rule(seconds=_seconds)
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(draw=_draws)
    def due(self, draw: float) -> None:
        self._happen(events.Due(), draw)

    @rule(draw=_draws)
    def the_awaited_moment_comes(self, draw: float) -> None:
        self.now = max(self.now, self.life.due_at or self.now)
        self._happen(events.Due(), draw)

    @rule(seconds=_seconds)
    def postponed(self, seconds: float) -> None:
        self._happen(events.Postponed(max(self.now, self.life.due_at or 0.0) + seconds))

    @rule(seconds=_seconds)
    def sooner(self, seconds: float) -> None:
        before = self.life
        self._happen(events.Sooner(self.now + seconds))
        assert self.life.state is before.state
        assert (self.life.due_at or 0.0) <= (before.due_at or 0.0)

    @rule(refused=st.booleans())
    def opened_by_the_broker(self, refused: bool) -> None:
        self._happen(events.Opened("5", ("a",) if refused else (), 0x80 if refused else None))

    @rule(code=_codes, draw=_draws)
    def failed(self, code: str, draw: float) -> None:
        if self.life.state is State.CONNECTING:
            self.has_session = False
        self._happen(events.Failed(cause(code)), draw)

    @rule(code=_losses, alone=st.booleans(), draw=_draws)
    def lost(self, code: str, alone: bool, draw: float) -> None:
        if self.life.is_up:
            self.has_session = False
        self._happen(events.Lost(cause(code), alone), draw)

    @rule()
    def outlived(self) -> None:
        was_up = self.life.is_up
        self._happen(events.Outlived())
        if was_up and not self.life.is_up:
            self.has_session = False

    @rule()
    def reconnect(self) -> None:
        self._happen(events.Reconnect(cause("operator_reconnect")))

    @rule(code=st.sampled_from(["disabled", "config_changed", "worker_shutdown"]))
    def stop(self, code: str) -> None:
        self._happen(events.Stop(cause(code)))

    @rule()
    def closed(self) -> None:
        self._happen(events.Closed())

    @invariant()
    def only_waiting_states_have_a_next_attempt(self) -> None:
        assert (self.life.next_attempt_at is not None) == (self.life.state in WAITING_STATES)

    @invariant()
    def what_moves_by_itself_has_a_moment(self) -> None:
        moves = {*WAITING_STATES, State.CONNECTING, State.STOPPING}
        if self.life.is_over or self.life.state in {*UP_STATES, State.CONFIG_ERROR}:
            assert self.life.due_at is None
        elif self.life.state in moves:
            assert self.life.due_at is not None

    @invariant()
    def a_session_has_a_beginning(self) -> None:
        if self.life.state in UP_STATES:
            assert self.life.connected_at is not None
        elif self.life.state is not State.STOPPING:
            assert self.life.connected_at is None

    @invariant()
    def a_client_id_connects_once_a_second_at_most(self) -> None:
        gaps = [b - a for a, b in zip(self.opened, self.opened[1:], strict=False)]
        assert all(gap >= MIN_CONNECT_GAP - 1e-6 for gap in gaps)

    @invariant()
    def a_flawed_record_never_opens(self) -> None:
        assert not (self.flawed and self.opened)

    @invariant()
    def nothing_waits_for_ever(self) -> None:
        # The longest wait that a life chooses; Postponed comes from outside.
        assert life.CLOSE_TIMEOUT < takeover.WINDOW < COOLDOWN_CAP
        if self.life.state is State.STOPPING and not self.life.is_over:
            assert self.life.due_at is not None
            assert self.life.due_at <= self.life.since + life.CLOSE_TIMEOUT

    @invariant()
    def time_alone_moves_it_on(self) -> None:
        rests = self.life.is_over or self.life.state in {*UP_STATES, State.CONFIG_ERROR}
        if not rests:
            assert self.life.due_at is not None
            when = max(self.now, self.life.due_at)
            moved, commands = step(self.life, events.Due(), when, 0.5)
            assert commands
            assert moved.is_over or moved.state is not self.life.state

    @invariant()
    def it_is_down_unless_a_session_exists(self) -> None:
        if self.life.state in UP_STATES or self.life.is_over:
            assert self.life.down_since is None
        elif self.life.state in WAITING_STATES and self.life.why.code != "operator_reconnect":
            assert self.life.down_since is not None

    @invariant()
    def only_disabled_ends_as_disabled(self) -> None:
        assert self.life.state is not State.UNKNOWN
        assert self.life.state is not State.DISABLED or self.life.is_over


AnyLife.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_random_events_keep_what_always_holds = AnyLife.TestCase
