"""The life of one connection: `step(life, event, now, draw) -> (life, commands)`.

Pure. `now` is monotonic seconds, `draw` a random number in [0, 1) for jitter.
docs/architecture.md has one sentence an arrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from database.words import UP_STATES, WAITING_STATES, Protocol
from database.words import ConnectionState as State
from mqttworker.core import backoff, takeover, verdicts
from mqttworker.core.cause import Cause, cause
from mqttworker.core.events import (
    Abort,
    Broken,
    Close,
    Closed,
    Command,
    Due,
    Event,
    Failed,
    Impaired,
    Lost,
    Open,
    Opened,
    Postponed,
    Reconnect,
    Recovered,
    RivalNamed,
    Sooner,
    Start,
    Stop,
)

#: What the broker says no to for good, until somebody changes something.
REFUSALS = frozenset(
    {
        "bad_user_name_or_password",
        "not_authorized",
        "banned",
        "client_identifier_not_valid",
        "bad_authentication_method",
        "unsupported_protocol_version",
        "topic_name_invalid",
        "payload_format_invalid",
        "retain_not_supported",
        "qos_not_supported",
        "use_another_server",
        "server_moved",
    }
)
#: What only an edit of the record can cure.
FLAWS = frozenset({"config_error", "secret_undecryptable", "same_client_id"})
#: How a broker ends a session that was taken over, where it says nothing.
SILENT_CLOSES = frozenset({"peer_closed", "connection_reset"})
#: How brokers answer a version they do not speak: in words, by hanging up, or not at all.
VERSION_REFUSALS = frozenset(
    {"unsupported_protocol_version", "closed_before_connack", "connack_timeout"}
)

#: Time on top of the record's own deadline before a try counts as stuck, seconds.
CONNECT_SLACK = 3.0
#: Longest time a session may take to close, seconds.
CLOSE_TIMEOUT = 5.0


class Failure(Enum):
    """What a failure speaks of."""

    #: The connection itself.
    OWN = auto()
    #: The broker or the network, which no connection reaches now.
    CUT_OFF = auto()
    #: A broker that accepts and then does not keep.
    FLAP = auto()


ENABLED = cause("enabled")
SUCCESS = cause("success")

Result = tuple["Life", tuple[Command, ...]]


@dataclass(frozen=True, slots=True)
class Life:
    """Where one connection stands. All times are monotonic seconds."""

    #: `words.Protocol` of the record.
    wanted_protocol: str
    connect_timeout: float
    state: State = State.PENDING
    why: Cause = ENABLED
    since: float = 0.0
    #: Tries since the last stable session.
    attempt: int = 0
    #: Failures in a row; short sessions count.
    failures: int = 0
    #: Cooldowns in a row; while there are any, one more short session is enough.
    cooldowns: int = 0
    #: Refusals in a row.
    refusals: int = 0
    #: Pleas for patience in a row.
    pleas: int = 0
    connected_at: float | None = None
    #: When the last session was lost or the first try failed; None while a session exists.
    down_since: float | None = None
    #: How the session began: whole, or with a subscription refused.
    begun: Cause = SUCCESS
    #: When the state ends by itself: the next try, or the moment it counts as stuck.
    due_at: float | None = None
    #: The last moment at which a CONNECT may have been on its way.
    tried_at: float = float("-inf")
    #: `auto` found that this broker wants 3.1.1.
    fell_back: bool = False
    #: It waits because the broker or the network could not be reached.
    is_cut_off: bool = False
    evidence: tuple[takeover.Session, ...] = ()
    #: The life is over; the greenlet may end.
    is_over: bool = False

    @property
    def is_up(self) -> bool:
        """Whether a session exists."""
        return self.state in UP_STATES

    @property
    def next_attempt_at(self) -> float | None:
        """When the next try is due, None unless it waits for one."""
        return self.due_at if self.state in WAITING_STATES else None

    @property
    def protocol(self) -> str:
        """The MQTT version of the next try."""
        if self.wanted_protocol != Protocol.AUTO:
            return self.wanted_protocol
        return Protocol.V311 if self.fell_back else Protocol.V5


def step(life: Life, event: Event, now: float, draw: float) -> Result:
    """Return what becomes of `life` when `event` happens, and what to do about it.

    An event that means nothing in the present state changes nothing: a late report of
    an earlier session must not disturb a newer one.
    """
    arrow: Callable[..., Result] | None = _ARROWS.get(type(event))
    if life.is_over or arrow is None:
        return life, ()
    return arrow(life, event, now, draw)


# --- arrows ----------------------------------------------------------------------------


def _start(life: Life, event: Start, now: float, _draw: float) -> Result:
    life = _enter(life, State.PENDING, event.why, now)
    if event.flaw is not None:
        # pending -> config_error: waits for an edit
        return _enter(life, State.CONFIG_ERROR, event.flaw, now, due_at=None), ()
    earliest = life.tried_at + backoff.MIN_CONNECT_GAP
    if now < earliest:
        # pending: the record was edited right after a try
        return replace(life, due_at=earliest), ()
    # pending -> connecting
    return _open(life, now)


def _due(life: Life, _event: Due, now: float, draw: float) -> Result:
    if life.due_at is None or now < life.due_at:
        return life, ()
    if life.state in WAITING_STATES or life.state is State.PENDING:
        # backoff, cooldown, refused -> connecting
        return _open(life, now)
    if life.state is State.CONNECTING:
        # connecting -> backoff: the adapter's own deadline did not fire.
        stuck = cause("no_progress", state=life.state, seconds=round(now - life.since))
        life, _ = _fail(replace(life, tried_at=now), stuck, now, draw)
        return life, (Abort(),)
    if life.state is State.STOPPING:
        # stopping -> over: what hangs is dropped.
        return _over(life, now), (Abort(),)
    return life, ()


def _postponed(life: Life, event: Postponed, _now: float, _draw: float) -> Result:
    if life.state in WAITING_STATES or life.state is State.PENDING:
        return replace(life, due_at=event.until), ()
    return life, ()


def _sooner(life: Life, event: Sooner, now: float, _draw: float) -> Result:
    if not life.is_cut_off or life.due_at is None:
        # Refusals, cooldowns and short sessions have reasons of their own to wait.
        return life, ()
    earliest = max(now, event.at, life.tried_at + backoff.MIN_CONNECT_GAP)
    return replace(life, due_at=min(life.due_at, earliest)), ()


def _opened(life: Life, event: Opened, now: float, _draw: float) -> Result:
    if life.state is not State.CONNECTING:
        return life, ()
    life = replace(life, tried_at=now, down_since=None)
    if event.refused_filters:
        # connecting -> degraded
        why = cause(
            "subscribe_refused",
            raw_code=event.raw_code,
            filters=", ".join(event.refused_filters),
        )
        return _up(life, State.DEGRADED, why, now), ()
    # connecting -> connected
    return _up(life, State.CONNECTED, SUCCESS, now), ()


def _impaired(life: Life, event: Impaired, now: float, _draw: float) -> Result:
    if not life.is_up:
        return life, ()
    # connected -> degraded
    return _enter(life, State.DEGRADED, event.why, now), ()


def _recovered(life: Life, event: Recovered, now: float, _draw: float) -> Result:
    if life.state is not State.DEGRADED or life.why is life.begun:
        return life, ()
    if life.begun is not SUCCESS:
        # degraded: the subscription that was refused is still refused.
        return _enter(life, State.DEGRADED, life.begun, now), ()
    # degraded -> connected
    return _enter(life, State.CONNECTED, event.why, now), ()


def _broken(life: Life, event: Broken, now: float, draw: float) -> Result:
    if not life.is_up:
        return life, ()
    # connected, degraded -> backoff: the session would not end by itself.
    life, _ = _lost(life, Lost(event.why), now, draw)
    return life, (Abort(),)


def _rival_named(life: Life, event: RivalNamed, now: float, _draw: float) -> Result:
    if not life.is_up:
        return life, ()
    # connected, degraded -> cooldown: whoever we threw out may come back and stay.
    return _cool_down(life, event.why, now), (Close(),)


def _failed(life: Life, event: Failed, now: float, draw: float) -> Result:
    if life.state is not State.CONNECTING:
        return life, ()
    if event.why.code not in verdicts.BEFORE_CONNECT:
        life = replace(life, tried_at=now)
    if event.why.code == "session_taken_over":
        # connecting -> cooldown: the broker named the rival before it answered the SUBSCRIBE.
        return _cool_down(life, event.why, now), ()
    # A try that failed speaks against a rival: whoever took us over keeps the broker up.
    kind = Failure.CUT_OFF if event.why.code in verdicts.UNREACHABLE else Failure.OWN
    return _fail(replace(life, evidence=()), event.why, now, draw, kind)


def _lost(life: Life, event: Lost, now: float, draw: float) -> Result:
    if life.state is State.STOPPING:
        return _over(life, now), ()
    if not life.is_up or life.connected_at is None:
        return life, ()
    session = takeover.Session(life.connected_at, now, event.alone)
    stable = now - life.connected_at >= backoff.STABLE_AFTER
    if stable:
        life = replace(life, attempt=0, failures=0, cooldowns=0, refusals=0, pleas=0)
    life = replace(life, connected_at=None, down_since=now)
    if event.why.code == "session_taken_over":
        # connected -> cooldown: the broker named the rival.
        return _cool_down(life, event.why, now), ()
    if not is_suspicious(event):
        life = replace(life, evidence=())
        return _fail(life, event.why, now, draw, _kind_of(event, session))
    life = replace(life, evidence=takeover.remember(life.evidence, session))
    in_dispute = life.cooldowns > 0 and session.is_short
    if in_dispute or takeover.is_duplicate(life.evidence):
        # connected -> cooldown: concluded from the pattern.
        return _cool_down(life, _duplicate(life), now), ()
    # connected -> backoff
    return _fail(life, event.why, now, draw, _kind_of(event, session))


def _reconnect(life: Life, event: Reconnect, now: float, _draw: float) -> Result:
    if life.state in {State.STOPPING, State.CONFIG_ERROR}:
        # A record that cannot be used has nothing to open; it waits for its edit.
        return life, ()
    fresh = replace(
        life, failures=0, cooldowns=0, refusals=0, pleas=0, evidence=(), connected_at=None
    )
    if life.is_up:
        fresh = replace(fresh, down_since=now)
    due = max(now, life.tried_at + backoff.MIN_CONNECT_GAP)
    waiting = _enter(fresh, State.BACKOFF, event.why, now, due_at=due)
    return waiting, (Abort(),)


def _stop(life: Life, event: Stop, now: float, _draw: float) -> Result:
    if life.state is State.STOPPING:
        return life, ()
    stopping = _enter(life, State.STOPPING, event.why, now)
    if life.is_up:
        # connected, degraded -> stopping
        return replace(stopping, due_at=now + CLOSE_TIMEOUT), (Close(),)
    # every other state -> over: there is nothing to say goodbye to.
    return _over(stopping, now), (Abort(),)


def _closed(life: Life, _event: Closed, now: float, _draw: float) -> Result:
    if life.state is State.STOPPING:
        return _over(life, now), ()
    return life, ()


_ARROWS: dict[type[Any], Callable[..., Result]] = {
    Start: _start,
    Due: _due,
    Postponed: _postponed,
    Sooner: _sooner,
    Opened: _opened,
    Impaired: _impaired,
    Recovered: _recovered,
    Broken: _broken,
    RivalNamed: _rival_named,
    Failed: _failed,
    Lost: _lost,
    Reconnect: _reconnect,
    Stop: _stop,
    Closed: _closed,
}


def is_suspicious(event: Lost) -> bool:
    """Whether the loss looks like the work of a rival with our client id."""
    return event.why.code in SILENT_CLOSES and event.door_open


def _kind_of(event: Lost, session: takeover.Session) -> Failure:
    """Return what the loss speaks of."""
    if session.is_short:
        return Failure.FLAP
    if event.why.code in SILENT_CLOSES:
        return Failure.OWN if event.alone and event.door_open else Failure.CUT_OFF
    return Failure.CUT_OFF if event.why.code in verdicts.UNREACHABLE else Failure.OWN


# --- shared pieces ---------------------------------------------------------------------


def _enter(life: Life, state: State, why: Cause, now: float, **changes: Any) -> Life:
    changes = {"is_cut_off": False, **changes}
    return replace(life, state=state, why=why, since=now, **changes)


def _up(life: Life, state: State, why: Cause, now: float) -> Life:
    return _enter(life, state, why, now, connected_at=now, begun=why, due_at=None)


def _over(life: Life, now: float) -> Life:
    """End the life; a record that was disabled says so, others keep their last state."""
    if life.why.code == "disabled":
        # stopping -> disabled
        life = _enter(life, State.DISABLED, life.why, now)
    return replace(life, is_over=True, due_at=None, connected_at=None, down_since=None)


def _open(life: Life, now: float) -> Result:
    """Begin a try. The reason stays: it says why there is a try at all."""
    opening = _enter(
        life,
        State.CONNECTING,
        life.why,
        now,
        attempt=life.attempt + 1,
        tried_at=now,
        due_at=now + life.connect_timeout + CONNECT_SLACK,
    )
    return opening, (Open(life.protocol),)


def _fail(life: Life, why: Cause, now: float, draw: float, kind: Failure = Failure.OWN) -> Result:
    """Choose the state that follows a failure, and the moment of the next try."""
    if life.down_since is None:
        life = replace(life, down_since=now)
    life = replace(life, pleas=life.pleas + 1 if why.code in verdicts.BUSY else 0)
    if why.code in FLAWS:
        # connecting -> config_error: waits for an edit
        return _enter(life, State.CONFIG_ERROR, why, now, due_at=None), ()
    if life.wanted_protocol == Protocol.AUTO and why.code in VERSION_REFUSALS:
        return _try_other_version(life, why, now, draw, kind), ()
    if why.code in REFUSALS:
        # connecting -> refused
        return _refuse(life, why, now, draw), ()
    # -> backoff
    life = replace(life, failures=life.failures + 1)
    return _back_off(life, why, now, _delay(life, draw, kind), kind), ()


def _delay(life: Life, draw: float, kind: Failure) -> float:
    if life.pleas:
        return backoff.busy(life.pleas, draw)
    if kind is Failure.FLAP:
        return backoff.after_flap(life.failures, draw)
    return backoff.backoff(life.failures, draw)


def _refuse(life: Life, why: Cause, now: float, draw: float) -> Life:
    life = replace(life, refusals=life.refusals + 1)
    if why.code == "use_another_server":
        # Temporary, says the specification (5, section 4.13.2).
        return _wait(life, State.REFUSED, why, now, backoff.elsewhere(draw))
    return _wait(life, State.REFUSED, why, now, backoff.refused(life.refusals, draw))


def _try_other_version(life: Life, why: Cause, now: float, draw: float, kind: Failure) -> Life:
    """Let the other MQTT version have its turn; at once the first time, later with backoff."""
    delay = backoff.backoff(life.failures, draw) if life.failures else 0.0
    other = replace(life, fell_back=not life.fell_back, failures=life.failures + 1)
    return _back_off(other, why, now, delay, kind)


def _cool_down(life: Life, why: Cause, now: float) -> Life:
    count = life.cooldowns + 1
    until = max(now + backoff.cooldown(count), takeover.earliest_retry(life.evidence))
    if life.down_since is None:
        life = replace(life, down_since=now)
    life = replace(life, cooldowns=count, failures=life.failures + 1)
    return _wait(life, State.COOLDOWN, why, now, until - now)


def _back_off(life: Life, why: Cause, now: float, delay: float, kind: Failure) -> Life:
    life = _wait(life, State.BACKOFF, why, now, delay)
    return replace(life, is_cut_off=kind is Failure.CUT_OFF)


def _wait(life: Life, state: State, why: Cause, now: float, delay: float) -> Life:
    due = max(now + delay, life.tried_at + backoff.MIN_CONNECT_GAP)
    return _enter(life, state, why, now, due_at=due, connected_at=None)


def _duplicate(life: Life) -> Cause:
    return cause(
        "duplicate_client_id",
        sessions=max(len(life.evidence), 1),
        window=int(takeover.WINDOW),
    )
