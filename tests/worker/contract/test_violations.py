"""Whatever MQTT forbids a broker to send ends the connection, with the right word in MQTT 5."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass

import pytest

from mqttworker.core.events import Failed, Lost
from mqttworker.core.spec import SubscriptionSpec
from tests.support.packets import V5, V311
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.support.scripts import GOOD, NO_CONNACK, NO_SUBACK
from tests.support.violation import Moment, Violation
from tests.support.violations import every_violation
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import Try, in_thread, spec_for

#: Sessions that are played at the same time.
TOGETHER = 125
#: How soon a connection must be over, seconds.
PROMPTLY = 2.0

_SCRIPTS = {Moment.CONNACK: NO_CONNACK, Moment.SUBACK: NO_SUBACK, Moment.UP: GOOD}
ANYTHING = (SubscriptionSpec("#", 1),)


@dataclass(frozen=True, slots=True)
class Played:
    """A violation, the session it was played to, and the broker's side of that."""

    violation: Violation
    attempt: Try
    session: Session

    @property
    def said(self) -> int | None:
        """The reason code of the client's DISCONNECT, None if it said none."""
        return self.session.disconnect_code

    def verdict(self) -> str:
        """Return `fine`, or what is not."""
        if self.session.closed_at is None:
            return "wedged"
        event = self.attempt.events[-1]
        if not isinstance(event, Failed | Lost) or event.why.code != "protocol_error":
            return f"reported {event}"
        if self.violation.version == V5 and self.said not in self.violation.codes:
            return f"said {self.said}"
        if self.violation.version == V311 and self.said is not None:
            return "a DISCONNECT, which means a normal end in 3.1.1"
        return "fine"


def _play(broker: ScriptedBroker, open_try: OpenTry, violations: list[Violation]) -> list[Played]:
    """Play each violation to a session of its own, all at once; return how it went."""
    broker.script = _SCRIPTS[violations[0].moment]
    subscriptions = ANYTHING if violations[0].moment is Moment.SUBACK else ()
    # Without a status topic the broker has nothing to say in between.
    spec = {"subscriptions": subscriptions, "status_topic": "", "keepalive_s": 60}
    attempts = {
        (attempt := open_try(spec_for(broker.port, **spec), _protocol(item))).spec.client_id: (
            item,
            attempt,
        )
        for item in violations
    }
    in_thread(broker.wait, lambda: len(_sessions(broker).keys() & attempts) == len(attempts))
    sessions = _sessions(broker)
    played = [Played(*pair, sessions[name]) for name, pair in attempts.items()]
    _wait_for_moment(broker, played)
    in_thread(_send, played)
    deadline = time.monotonic() + PROMPTLY
    for each in played:
        in_thread(_wait_for_end, broker, each.session, deadline)
    return played


def _protocol(violation: Violation) -> str:
    return "5" if violation.version == V5 else "3.1.1"


def _sessions(broker: ScriptedBroker) -> dict[str, Session]:
    return {each.connect.client_id: each for each in list(broker.sessions) if each.connect}


def _wait_for_moment(broker: ScriptedBroker, played: list[Played]) -> None:
    if played[0].violation.moment is Moment.UP:
        for each in played:
            each.attempt.opened()
    elif played[0].violation.moment is Moment.SUBACK:
        in_thread(broker.wait, lambda: all(each.session.filters for each in played))


def _send(played: list[Played]) -> None:
    for each in played:
        each.session.send(each.violation.data)


def _wait_for_end(broker: ScriptedBroker, session: Session, deadline: float) -> None:
    try:
        broker.wait(lambda: session.closed_at, max(0.0, deadline - time.monotonic()))
    except TimeoutError:
        return  # the verdict says so


@pytest.mark.parametrize("version", [V311, V5])
@pytest.mark.parametrize("moment", list(Moment))
def test_every_violation_ends_the_connection_as_the_specification_says(
    scripted_broker: ScriptedBroker, open_try: OpenTry, moment: Moment, version: int
) -> None:
    wanted = [v for v in every_violation() if (v.moment, v.version) == (moment, version)]
    verdicts: dict[str, str] = {}
    for start in range(0, len(wanted), TOGETHER):
        for each in _play(scripted_broker, open_try, wanted[start : start + TOGETHER]):
            verdicts[each.violation.name] = each.verdict()
            each.attempt.session.abort()
    failed = {name: verdict for name, verdict in verdicts.items() if verdict != "fine"}
    assert failed == {}, Counter(failed.values())


def test_the_table_is_long_and_names_everything_once() -> None:
    violations = every_violation()
    names = {(each.name, each.version) for each in violations}
    assert len(names) == len(violations) > 700
