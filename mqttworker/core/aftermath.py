"""What follows a failure: the state that is entered, and the moment of the next try."""

from __future__ import annotations

from dataclasses import replace

from database.words import ConnectionState as State
from database.words import Protocol
from mqttworker.core import backoff, verdicts, versions
from mqttworker.core.cause import Cause
from mqttworker.core.standing import Life, enter
from mqttworker.core.verdicts import Failure


def fail(life: Life, why: Cause, now: float, draw: float, kind: Failure = Failure.OWN) -> Life:
    """Choose the state that follows a failure, and the moment of the next try."""
    if life.down_since is None:
        life = replace(life, down_since=now)
    life = replace(life, pleas=life.pleas + 1 if why.code in verdicts.BUSY else 0)
    if why.code in verdicts.FLAWS:
        # connecting -> config_error: waits for an edit
        return enter(life, State.CONFIG_ERROR, why, now, due_at=None)
    if life.wanted_protocol == Protocol.AUTO and verdicts.is_version_refusal(why):
        if not life.needs_mqtt_5:
            return _try_other_version(life, why, now, draw, kind)
        why = versions.beside(why, Protocol.V311, versions.UNTRIED)
    if life.state is State.CONNECTING:
        life, why = _back_to_mqtt_5(life, why)
    if why.code in verdicts.REFUSALS:
        # connecting -> refused
        return _refuse(life, why, now, draw)
    # -> backoff
    life = replace(life, failures=life.failures + 1)
    return _back_off(life, why, now, _delay(life, now, draw, kind), kind)


def _delay(life: Life, now: float, draw: float, kind: Failure) -> float:
    if life.pleas:
        return backoff.busy(life.pleas, draw)
    if kind is Failure.FLAP:
        return _spread(life, now, backoff.after_flap(life.failures, draw))
    return _spread(life, now, backoff.backoff(life.failures, draw))


def _spread(life: Life, now: float, delay: float) -> float:
    """Add the rest of the second that has to pass anyway: else all would try at its very end."""
    left = max(0.0, life.tried_at + backoff.MIN_CONNECT_GAP - now)
    return min(left + delay, backoff.BACKOFF_CAP)


def _refuse(life: Life, why: Cause, now: float, draw: float) -> Life:
    life = replace(life, refusals=life.refusals + 1)
    if why.code == "use_another_server":
        # Temporary, says the specification (5, section 4.13.2).
        return _wait(life, State.REFUSED, why, now, backoff.elsewhere(draw))
    return _wait(life, State.REFUSED, why, now, backoff.refused(life.refusals, draw))


def _try_other_version(life: Life, why: Cause, now: float, draw: float, kind: Failure) -> Life:
    """Let the other MQTT version have its turn; at once the first time, later with backoff."""
    delay = _spread(life, now, backoff.backoff(life.failures, draw)) if life.failures else 0.0
    shown = versions.told(life.protocol, why, life.other_version_why)
    other = replace(
        life,
        fell_back=not life.fell_back,
        other_version_why=why,
        failures=life.failures + 1,
        tried_5_at=life.tried_5_at if life.fell_back else now,
    )
    return _back_off(other, shown, now, delay, kind)


def _back_to_mqtt_5(life: Life, why: Cause) -> tuple[Life, Cause]:
    """Try MQTT 5 next where 3.1.1 fails for a reason of its own."""
    other_why = life.other_version_why
    if not life.fell_back or other_why is None or not versions.goes_back(why, other_why):
        return life, why
    shown = versions.beside(why, Protocol.V5, other_why)
    return replace(life, fell_back=False, other_version_why=why), shown


def cool_down(life: Life, why: Cause, now: float, base: float = backoff.COOLDOWN_BASE) -> Life:
    """Stay away for long: another client uses the client id."""
    count = life.cooldowns + 1
    if life.down_since is None:
        life = replace(life, down_since=now)
    life = replace(life, cooldowns=count, failures=life.failures + 1)
    return _wait(life, State.COOLDOWN, why, now, backoff.cooldown(count, base))


def lower_status_qos(life: Life, why: Cause, now: float) -> Life:
    """Try again soon with a Will Message of a lower QoS: the broker took no other offence."""
    life = replace(life, will_qos=life.will_qos - 1, failures=life.failures + 1)
    if life.down_since is None:
        life = replace(life, down_since=now)
    return _back_off(life, why, now, _spread(life, now, 0.0), Failure.OWN)


def _back_off(life: Life, why: Cause, now: float, delay: float, kind: Failure) -> Life:
    life = _wait(life, State.BACKOFF, why, now, delay)
    is_flapping = kind is Failure.FLAP
    return replace(life, is_cut_off=kind is Failure.CUT_OFF, is_flapping=is_flapping)


def _wait(life: Life, state: State, why: Cause, now: float, delay: float) -> Life:
    due = max(now + delay, life.tried_at + backoff.MIN_CONNECT_GAP)
    return enter(life, state, why, now, due_at=due, connected_at=None)
