"""What a test does once it is connected: publish, receive, and crash on purpose.

All of it happens below a private topic. A live connection does not need that topic, so
what goes wrong here is a remark, not a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from database import outcomes
from mqttworker.core import probe
from mqttworker.core.cause import Cause, cause
from mqttworker.core.probe import Course, StepState
from mqttworker.core.shared_login import TAKEOVER_CODES
from mqttworker.core.spec import ConnectionSpec
from mqttworker.core.standing import SUCCESS
from mqttworker.ports.transport import OutboundMessage, Session, Transport, keep_nothing
from mqttworker.service.context import Clock
from mqttworker.service.ear import Ear
from mqttworker.service.shared_logins import SharedLogins

#: The names under which the sessions report.
TRIAL, VICTIM = "trial", "victim"

#: Longest waits, seconds.
PUBACK_WAIT, DELIVERY_WAIT, CRASH_CONNECT_WAIT, WILL_WAIT = 2, 2, 3, 2.5
#: A session that stands so long after it has ended another one shows that it did, seconds.
STANDS_FOR = 0.2
#: Time between two messages while none comes back, seconds.
DELIVERY_AGAIN = 0.25


@dataclass(frozen=True)
class Scene:
    """What the parts of a test share."""

    transport: Transport
    #: As the record says it.
    spec: ConnectionSpec
    clock: Clock
    ear: Ear
    token: str
    on_change: Callable[[], object]
    logins: SharedLogins

    @property
    def topic(self) -> str:
        """Where the test publishes."""
        return probe.private_topic(self.spec, self.token)

    @property
    def will_topic(self) -> str:
        """Where the Will Message of the client goes that is cut off."""
        return f"{self.topic}/will"


class Drills:
    """Plays the drills of one test into its course."""

    def __init__(self, scene: Scene, course: Course, session: Session) -> None:
        self._scene = scene
        self._ear = scene.ear
        self._course = course
        self._session = session

    def run(self, protocol: str, client_id: str) -> None:
        """Play them in order until one does not go well; `client_id` is for the one that dies."""
        for name, play in (
            ("publish", self._publish),
            ("delivery", self._await_delivery),
            ("will", lambda: self._crash(protocol, client_id)),
        ):
            self._course.begin(name, self._scene.clock.now())
            self._scene.on_change()
            is_well = self._ear.stopped_by is None and play()
            if self._must_stop(name):
                break
            if not is_well:
                self._explain_end(name)
                break

    def _must_stop(self, name: str) -> bool:
        """Whether the test has ended the session of a connection; the step says so then."""
        why = self._ear.stopped_by
        if why is None or self._ear.until(lambda: TRIAL in self._ear.ended, STANDS_FOR):
            # Who loses its own session has taken nobody else's.
            return False
        self._warn(name, why.code, **why.detail)
        return True

    def _publish(self) -> bool:
        ear, topic = self._ear, self._scene.topic
        self._send()
        if not self._until(lambda: ear.answers, PUBACK_WAIT):
            return self._warn("publish", "no_puback", topic=topic, seconds=PUBACK_WAIT)
        if (refused := ear.answers[0]) is not None:
            return self._warn("publish", refused.code, **refused.detail)
        return self._well("publish", "puback", topic=topic)

    def _send(self) -> None:
        scene = self._scene
        message = OutboundMessage(scene.topic, scene.token.encode(), qos=1)
        self._session.publish(message, self._ear.answer)

    def _await_delivery(self) -> bool:
        ear, topic = self._ear, self._scene.topic

        give_up_at = self._scene.clock.now() + DELIVERY_WAIT
        # The SUBSCRIBE may wait until others have connected; what was sent before it is not
        # for us. What came so far may be an answer to the first step.
        ear.came_at.pop(topic, None)
        while topic not in ear.came_at:
            if self._scene.clock.now() > give_up_at or not self._is_up:
                words = {"topic": topic, "seconds": DELIVERY_WAIT}
                self._course.restart("delivery", give_up_at - DELIVERY_WAIT)
                return self._warn("delivery", "not_delivered", **words)
            self._course.restart("delivery", self._scene.clock.now())
            self._send()
            self._until(lambda: topic in ear.came_at, DELIVERY_AGAIN)
        return self._well("delivery", "delivered")

    def _crash(self, protocol: str, client_id: str) -> bool:
        """Cut off a second client and see how soon its Will Message comes."""
        scene, ear = self._scene, self._ear
        if scene.logins.ends_others(scene.spec):
            self._course.end("will", StepState.SKIPPED, scene.clock.now(), "one_session_a_login")
            return True
        timeout = min(CRASH_CONNECT_WAIT, ear.time_left)
        spec = probe.crash_spec(scene.spec, client_id, timeout, scene.will_topic, scene.token)
        victim = scene.transport.open(spec, protocol, ear.report(VICTIM), keep_nothing)
        try:
            ear.until(lambda: VICTIM in ear.opened or VICTIM in ear.ended, timeout + 0.5)
        finally:
            victim.abort()
        if VICTIM in ear.opened and ear.ended.get(TRIAL, SUCCESS).code in TAKEOVER_CODES:
            scene.logins.saw_takeover(scene.spec)
            return self._warn("will", "one_session_a_login")
        if VICTIM in ear.opened:
            return self._await_will()
        why = ear.ended.get(VICTIM, cause("connack_timeout", seconds=timeout))
        return self._warn("will", why.code, **why.detail)

    def _await_will(self) -> bool:
        topic, came_at, cut_at = self._scene.will_topic, self._ear.came_at, self._scene.clock.now()
        if not self._until(lambda: topic in came_at, WILL_WAIT):
            return self._warn("will", "will_not_seen", seconds=WILL_WAIT)
        return self._well("will", "will_seen", seconds=max(0.01, round(came_at[topic] - cut_at, 2)))

    @property
    def _is_up(self) -> bool:
        ear = self._ear
        return TRIAL not in ear.ended and ear.stopped_by is None and ear.time_left > 0

    def _until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until `condition()`; return False if it does not come, or the session ends."""
        ear = self._ear
        ear.until(lambda: condition() or TRIAL in ear.ended or ear.stopped_by, seconds)
        return bool(condition())

    def _explain_end(self, name: str) -> None:
        why: Cause | None = self._ear.ended.get(TRIAL)
        if why is not None and not self._scene.logins.ends_others(self._scene.spec):
            reason = outcomes.explain(why.code, why.detail)
            self._warn(name, "session_ended", reason=reason, topic=self._scene.topic)

    def _well(self, name: str, code: str, **detail: Any) -> bool:
        self._course.end(name, StepState.OK, self._scene.clock.now(), code, **detail)
        self._scene.on_change()
        return True

    def _warn(self, name: str, code: str, **detail: Any) -> bool:
        self._course.end(name, StepState.WARNING, self._scene.clock.now(), code, **detail)
        self._scene.on_change()
        return False
