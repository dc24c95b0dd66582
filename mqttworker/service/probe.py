"""The test of a connection: one try with all that the record says, then the drills.

It connects under a client id of its own, publishes only below a private topic, retains
nothing, and leaves no session at the broker.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import gevent

from database.words import Protocol
from mqttworker.core import probe, versions
from mqttworker.core.backoff import MIN_CONNECT_GAP
from mqttworker.core.cause import Cause, cause, completed
from mqttworker.core.events import Event, Opened
from mqttworker.core.probe import Course
from mqttworker.core.spec import ConnectionSpec
from mqttworker.core.verdicts import is_version_refusal
from mqttworker.ports.transport import Session, Terms, Transport
from mqttworker.service.context import Clock
from mqttworker.service.drills import TRIAL, Drills, Scene
from mqttworker.service.ear import Ear
from mqttworker.service.shared_logins import SharedLogins

#: What a test may take beyond the record's own connect deadline, with a second to spare.
DRILL_TIME = 9.0
#: How long the goodbye may take, and a second try is still worth it, seconds.
GOODBYE_WAIT, WORTH_TRYING = 0.5, 1.0


class Probe:
    """One test of `spec`; `on_change` is called whenever a step changes. Run it once."""

    def __init__(
        self,
        transport: Transport,
        spec: ConnectionSpec,
        *,
        use_real_id: bool = False,
        clock: Clock | None = None,
        on_change: Callable[[], object] = lambda: None,
        logins: SharedLogins | None = None,
    ) -> None:
        token, self._clock = _token(), clock or Clock()
        self._ear = Ear(self._clock, token)
        self._logins = logins or SharedLogins(self._clock.now)
        self._scene = Scene(transport, spec, self._clock, self._ear, token, on_change, self._logins)
        self._spec = spec
        self._use_real_id = use_real_id
        self._course = Course(spec)
        self._session: Session | None = None
        self._opened: Opened | None = None
        self._terms = Terms()
        self._client_id = spec.client_id
        #: The MQTT version that did not work, and why, where both were tried.
        self._earlier_try: tuple[str, Cause] | None = None
        self._is_over = False

    def run(self) -> None:
        """Run the test to its end; no socket is left, also if the greenlet is killed."""
        self._ear.end_by = self._clock.now() + self._spec.connect_timeout_s + DRILL_TIME
        try:
            if self._connect() and self._session and self._opened:
                drills = Drills(self._scene, self._course, self._session)
                drills.run(self._opened.protocol, self._own_id())
                self._part_from(self._session)
        finally:
            self._logins.leaves(self)
            if self._session is not None:
                self._session.abort()
        self._course.give_up(self._clock.now())
        self._is_over = True

    # --- one of the clients that `SharedLogins` watches

    @property
    def name(self) -> str:
        """A test has none."""
        return ""

    def give_way(self, why: Cause) -> None:
        """Stop: the test has ended the session of a connection."""
        self._ear.stop(why)

    # --- the result

    @property
    def verdict(self) -> str:
        """`ok`, `warning` or `failed`."""
        return self._course.verdict

    def as_json(self) -> dict[str, Any]:
        """Return what is known so far, as it is stored."""
        certificate, failed = self._terms.certificate, self._course.failed
        return {
            "code": self._code,
            "detail": {"step": failed.name.upper()} if failed else {},
            "verdict": self.verdict if self._is_over else None,
            "steps": self._course.as_json(),
            "earlier_tries": [_try_as_json(*self._earlier_try)] if self._earlier_try else [],
            "client_id": self._client_id,
            "real_client_id": self._use_real_id,
            "protocol": self._opened and self._opened.protocol,
            "keepalive_s": self._terms.keepalive_s or None,
            "certificate": certificate
            and {"subject": certificate.subject, "expires_at": certificate.expires_at.isoformat()},
        }

    @property
    def _code(self) -> str:
        if not self._is_over:
            return "accepted"
        was_stopped = any(
            step.reason_code == "shared_login_takeover" for step in self._course.steps
        )
        return "test_stopped" if was_stopped else f"test_{self.verdict}"

    # --- the try

    def _connect(self) -> bool:
        """Try as the live connection would, the other MQTT version included."""
        spec = self._spec
        untried = versions.to_try(spec.protocol, needs_mqtt_5=spec.needs_mqtt_5)
        while True:
            version = untried.pop(0)
            why = self._try(version)
            if why is None:
                return True
            is_worth_it = untried and self._ear.time_left > WORTH_TRYING
            if not is_worth_it or not is_version_refusal(why):
                self._course.fail(self._most_helpful(version, why), self._clock.now())
                return False
            self._earlier_try = version, why
            self._leave_gap()

    def _try(self, version: str) -> Cause | None:
        """Open a session; return why there is none."""
        ear, self._course = self._ear, Course(self._spec)
        self._client_id = self._spec.client_id if self._use_real_id else self._own_id()
        timeout = min(self._spec.connect_timeout_s, ear.time_left)
        spec = probe.trial_spec(self._spec, self._client_id, timeout)
        self._logins.tries(self, spec)
        self._session = self._scene.transport.open(
            spec,
            version,
            self._hear,
            ear.receive,
            watch=(self._scene.topic, self._scene.will_topic),
            progress=self._enter,
        )
        ear.until(lambda: TRIAL in ear.opened or TRIAL in ear.ended, timeout + 1.0)
        if TRIAL in ear.opened:
            self._up(ear.opened[TRIAL], self._session.terms)
            return None
        self._session.abort()
        stuck = cause("no_progress", state="connecting", seconds=round(timeout))
        return self._known(ear.ended.pop(TRIAL, stuck))

    def _up(self, opened: Opened, terms: Terms) -> None:
        self._opened, self._terms = opened, terms
        refused = None
        if opened.refused_filters:
            names = ", ".join(opened.refused_filters)
            refused = cause("subscribe_refused", raw_code=opened.raw_code, filters=names)
        self._course.up(refused, self._clock.now())
        self._scene.on_change()

    def _most_helpful(self, version: str, why: Cause) -> Cause:
        """Return the reason that the test ends with; the other one is told beside it."""
        if not is_version_refusal(why):
            return why
        if self._earlier_try is None:
            self._note_what_was_not_tried()
            return why
        tried = [self._earlier_try, (version, why)]
        tried.sort(key=lambda each: versions.helpfulness(*each))
        self._earlier_try, (_, best) = tried
        return best

    def _note_what_was_not_tried(self) -> None:
        """Report why `auto` ended with MQTT 5, if it did."""
        if self._spec.protocol == Protocol.AUTO and self._spec.needs_mqtt_5:
            self._earlier_try = Protocol.V311, versions.UNTRIED

    def _part_from(self, session: Session) -> None:
        """Say DISCONNECT, so that the broker sees no loss."""
        ear = self._ear
        session.close(GOODBYE_WAIT)
        ear.until(lambda: TRIAL in ear.closed or TRIAL in ear.ended, 2 * GOODBYE_WAIT)
        self._leave_gap()

    def _leave_gap(self) -> None:
        """No client id connects twice within a second."""
        if self._use_real_id:
            gevent.sleep(MIN_CONNECT_GAP)

    def _own_id(self) -> str:
        return probe.probe_id(self._spec.client_id, _token())

    def _known(self, why: Cause) -> Cause:
        words = {"host": self._spec.host, "port": self._spec.port, "client_id": self._client_id}
        return completed(why, words)

    def _hear(self, event: Event) -> None:
        """Handle an event of the test's session; called in the loop."""
        self._logins.hear(self, event)
        self._ear.report(TRIAL)(event)

    def _enter(self, phase: str) -> None:
        """Hear of a phase of the try; called in the loop."""
        self._course.enter(phase, self._clock.now())
        self._scene.on_change()


def _try_as_json(version: str, why: Cause) -> dict[str, Any]:
    return {"protocol": version, "reason_code": why.code, "detail": dict(why.detail)}


def _token() -> str:
    return secrets.token_hex(3)
