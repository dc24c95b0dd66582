"""The life of one connection: `step(life, event, now, draw) -> (life, commands)`.

Pure. `now` is monotonic seconds, `draw` a random number in [0, 1) for jitter.
docs/architecture.md has one sentence an arrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from database.words import WAITING_STATES
from database.words import ConnectionState as State
from mqttworker.core import ailments, backoff, takeover, verdicts, versions
from mqttworker.core.aftermath import cool_down, fail, lower_status_qos
from mqttworker.core.ailments import Ailments
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
    Outlived,
    Postponed,
    Reconnect,
    Recovered,
    RivalNamed,
    Sooner,
    Start,
    Stop,
)
from mqttworker.core.fallback import TRY_5_AGAIN
from mqttworker.core.standing import SUCCESS, Life, enter
from mqttworker.core.takeover import Trial
from mqttworker.core.verdicts import Failure

__all__ = ["Life", "step"]

#: Time on top of the record's own deadline before a try counts as stuck, seconds.
CONNECT_SLACK = 3.0
#: Longest time a session may take to close, seconds.
CLOSE_TIMEOUT = 5.0


Result = tuple[Life, tuple[Command, ...]]


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
    life = enter(life, State.PENDING, event.why, now)
    if event.flaw is not None:
        # pending -> config_error: waits for an edit
        return enter(life, State.CONFIG_ERROR, event.flaw, now, due_at=None), ()
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
        return fail(replace(life, tried_at=now), stuck, now, draw), (Abort(),)
    if life.state is State.STOPPING:
        # stopping -> over: what hangs is dropped.
        return _over(life, now), (Abort(),)
    return life, ()


def _postponed(life: Life, event: Postponed, _now: float, _draw: float) -> Result:
    if life.state in WAITING_STATES or life.state is State.PENDING:
        return replace(life, due_at=event.until), ()
    return life, ()


def _sooner(life: Life, event: Sooner, now: float, _draw: float) -> Result:
    if not (life.is_cut_off or life.is_flapping) or life.due_at is None:
        # Refusals and cooldowns have reasons of their own to wait.
        return life, ()
    earliest = max(now, event.at, life.tried_at + backoff.MIN_CONNECT_GAP)
    return replace(life, due_at=min(life.due_at, earliest)), ()


def _opened(life: Life, event: Opened, now: float, _draw: float) -> Result:
    if life.state is not State.CONNECTING:
        return life, ()
    life = replace(life, tried_at=now, down_since=None)
    if not life.fell_back:
        life = replace(life, other_version_why=None)
    if event.refused_filters:
        # connecting -> degraded
        refused = cause(
            "subscribe_refused",
            raw_code=event.raw_code,
            filters=", ".join(event.refused_filters),
        )
        why = _with_version(life, refused)
        return _up(life, State.DEGRADED, why, now, (why,)), ()
    if life.trial is Trial.DUE:
        return _up_for_a_trial(life, now), ()
    # connecting -> connected
    return _up(life, State.CONNECTED, _with_version(life, SUCCESS), now), ()


def _impaired(life: Life, event: Impaired, now: float, _draw: float) -> Result:
    if not life.is_up:
        return life, ()
    # connected -> degraded
    return _ailing(life, ailments.added(life.ailments, event.why), now), ()


def _recovered(life: Life, event: Recovered, now: float, _draw: float) -> Result:
    left = ailments.ended(life.ailments, event.why)
    if left == life.ailments:
        return life, ()
    if left:
        # degraded: something else is still wrong.
        return _ailing(life, left, now), ()
    # degraded -> connected
    return enter(life, State.CONNECTED, event.why, now, ailments=()), ()


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
    return cool_down(life, event.why, now), (Close(),)


def _outlived(life: Life, _event: Outlived, now: float, _draw: float) -> Result:
    if not life.is_up or life.trial is not Trial.DUE:
        return life, ()
    # connected, degraded -> backoff: the next session has our own client id again.
    over = cause("client_id_trial_over", seconds=int(takeover.trial_seconds(life.evidence)))
    stood = replace(
        life, trial=Trial.STOOD, attempt=0, failures=0, refusals=0, pleas=0, down_since=now
    )
    due = now + CLOSE_TIMEOUT
    return enter(stood, State.BACKOFF, over, now, due_at=due, connected_at=None), (Close(),)


def _failed(life: Life, event: Failed, now: float, draw: float) -> Result:
    if life.state is not State.CONNECTING:
        return life, ()
    if event.why.code not in verdicts.BEFORE_CONNECT:
        life = replace(life, tried_at=now)
    if event.why.code == "session_taken_over":
        # connecting -> cooldown: the broker named the rival before it answered the SUBSCRIBE.
        return cool_down(life, event.why, now), ()
    if event.why.code == "qos_not_supported" and life.will_qos:
        # connecting -> backoff: nothing in a CONNECT has a QoS but the Will Message.
        return lower_status_qos(life, event.why, now), ()
    if life.trial is Trial.DUE and verdicts.is_refusal(event.why):
        # connecting -> cooldown: another client id is not let in, so the pattern decides.
        return _conclude(replace(life, trial=Trial.REFUSED), now), ()
    # A try that failed speaks against a rival: whoever took us over keeps the broker up.
    kind = verdicts.of_try(event.why.code)
    return fail(_unsuspected(life), event.why, now, draw, kind), ()


def _lost(life: Life, event: Lost, now: float, draw: float) -> Result:
    if life.state is State.STOPPING:
        return _over(life, now), ()
    if not life.is_up or life.connected_at is None:
        return life, ()
    session = takeover.Session(life.connected_at, now, event.alone, event.unanswered)
    stable = now - life.connected_at >= backoff.STABLE_AFTER
    if stable:
        life = replace(life, attempt=0, failures=0, cooldowns=0, refusals=0, pleas=0)
    life = replace(life, connected_at=None, down_since=now)
    if event.taken_over is not None:
        # connected -> backoff: the other connection of ours gives way.
        return fail(_unsuspected(life), event.taken_over, now, draw, Failure.FLAP), ()
    if event.why.code == "session_taken_over":
        # connected -> cooldown: the broker named the rival.
        return cool_down(life, event.why, now), ()
    kind = verdicts.of_loss(event, is_short=session.is_short)
    if not verdicts.is_suspicious(event) or life.trial is Trial.DUE or not session.is_short:
        # Another client id ended the same way, or ours did not: the broker or the path it was.
        return fail(_unsuspected(life), event.why, now, draw, kind), ()
    life = replace(life, evidence=takeover.remember(life.evidence, session))
    if life.trial is Trial.STOOD or life.cooldowns > 0:
        # connected -> cooldown: inferred from the pattern.
        return _conclude(life, now), ()
    if takeover.is_suspicious(life.evidence):
        life = replace(life, trial=Trial.DUE)
    # connected -> backoff
    return fail(life, event.why, now, draw, kind), ()


def _reconnect(life: Life, event: Reconnect, now: float, _draw: float) -> Result:
    if life.state in {State.STOPPING, State.CONFIG_ERROR}:
        # A record that cannot be used has nothing to open; it waits for its edit.
        return life, ()
    life = _unsuspected(_given_up(life, now))
    fresh = replace(life, failures=0, cooldowns=0, refusals=0, pleas=0, connected_at=None)
    if life.is_up:
        fresh = replace(fresh, down_since=now)
    due = max(now, life.tried_at + backoff.MIN_CONNECT_GAP)
    waiting = enter(fresh, State.BACKOFF, event.why, now, due_at=due)
    return waiting, (Abort(),)


def _stop(life: Life, event: Stop, now: float, _draw: float) -> Result:
    if life.state is State.STOPPING:
        return life, ()
    stopping = enter(_given_up(life, now), State.STOPPING, event.why, now)
    if life.is_up:
        # connected, degraded -> stopping
        return replace(stopping, due_at=now + CLOSE_TIMEOUT), (Close(),)
    # every other state -> over: there is nothing to say goodbye to.
    return _over(stopping, now), (Abort(),)


def _closed(life: Life, _event: Closed, now: float, _draw: float) -> Result:
    if life.state is State.STOPPING:
        return _over(life, now), ()
    if life.state is State.BACKOFF and life.trial is Trial.STOOD:
        return replace(life, due_at=max(now, life.tried_at + backoff.MIN_CONNECT_GAP)), ()
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
    Outlived: _outlived,
    Failed: _failed,
    Lost: _lost,
    Reconnect: _reconnect,
    Stop: _stop,
    Closed: _closed,
}


# --- shared pieces ---------------------------------------------------------------------


def _up(life: Life, state: State, why: Cause, now: float, wrong: Ailments = ()) -> Life:
    return enter(life, state, why, now, connected_at=now, ailments=wrong, due_at=None)


def _with_version(life: Life, why: Cause) -> Cause:
    """Return `why` with the reason for which it is not MQTT 5, if `auto` fell back."""
    if life.other_version_why is None:
        return why
    return versions.beside(why, versions.other(life.protocol), life.other_version_why)


def _ailing(life: Life, wrong: Ailments, now: float) -> Life:
    """Show the gravest of what is wrong; the state is entered anew only if that changed."""
    if life.why is wrong[0]:
        return replace(life, ailments=wrong)
    return enter(life, State.DEGRADED, wrong[0], now, ailments=wrong)


def _given_up(life: Life, now: float) -> Life:
    """Take note that a try under way, if there is one, may have sent its CONNECT just now."""
    return replace(life, tried_at=now) if life.state is State.CONNECTING else life


def _over(life: Life, now: float) -> Life:
    """End the life; a record that was disabled says so, others keep their last state."""
    if life.why.code == "disabled":
        # stopping -> disabled
        life = enter(life, State.DISABLED, life.why, now)
    return replace(life, is_over=True, due_at=None, connected_at=None, down_since=None)


def _open(life: Life, now: float) -> Result:
    """Begin a try. The reason stays: it says why there is a try at all."""
    if life.fell_back and now - life.tried_5_at >= TRY_5_AGAIN:
        life = replace(life, fell_back=False)
    opening = enter(
        life,
        State.CONNECTING,
        life.why,
        now,
        attempt=life.attempt + 1,
        tried_at=now,
        due_at=now + life.connect_timeout + CONNECT_SLACK,
    )
    return opening, (Open(life.protocol, life.trial is Trial.DUE, life.will_qos),)


def _unsuspected(life: Life) -> Life:
    """Drop the suspicion that another client uses our client id."""
    return replace(life, evidence=(), trial=Trial.NONE)


def _up_for_a_trial(life: Life, now: float) -> Life:
    """Enter a session with another client id; with a kept one the messages wait meanwhile."""
    seconds = int(takeover.trial_seconds(life.evidence))
    code = "client_id_trial" if life.keeps_session else "success"
    why = _with_version(life, cause(code, trial_s=seconds, sessions=len(life.evidence)))
    if life.keeps_session:
        return _up(life, State.DEGRADED, why, now, (why,))
    return _up(life, State.CONNECTED, why, now)


def _conclude(life: Life, now: float) -> Life:
    """Infer that another client uses our client id."""
    first = life.evidence[0].opened_at if life.evidence else now
    known = _TRIAL_WORDS.get(life.trial, {})
    window = max(1, math.ceil(now - first))
    why = cause("duplicate_client_id", sessions=max(len(life.evidence), 1), window=window, **known)
    return cool_down(life, why, now, backoff.INFERRED_COOLDOWN_BASE)


#: What the sentence says of the session with another client id.
_TRIAL_WORDS = {Trial.STOOD: {"other_id_stood": True}, Trial.REFUSED: {"other_id_refused": True}}
