"""The test of a connection as a list of timed steps, and what the test connects with.

Pure: `now` is monotonic seconds, `token` a few random hexadecimal digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from mqttworker.core.cause import Cause
from mqttworker.core.spec import ConnectionSpec

#: What every MQTT 3.1.1 broker must accept as a Client Identifier, bytes (section 3.1.3.1).
SAFE_ID_BYTES = 23

#: These decide; they are the phases of a try as the transport names them.
DECISIVE = ("dns", "tcp", "tls", "connack", "suback")
#: These show what the login may do beyond; the connection itself does not need them.
DRILLS = ("publish", "delivery", "will")


class StepState(StrEnum):
    """How far a step is."""

    PENDING = "pending"
    RUNNING = "running"
    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(slots=True)
class Step:
    """One step of a test; its sentence is built by `database.outcomes` where it is read."""

    name: str
    state: StepState = StepState.PENDING
    began_at: float | None = None
    ms: float | None = None
    reason_code: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def end(self, state: StepState, now: float, code: str | None = None, **detail: Any) -> None:
        """Enter a final state, with what there is to say."""
        self.state, self.reason_code, self.detail = state, code, detail
        if self.began_at is not None and state is not StepState.SKIPPED:
            self.ms = round((now - self.began_at) * 1000, 1)


class Course:
    """The steps of one try and the drills after it."""

    def __init__(self, spec: ConnectionSpec) -> None:
        self._steps = {name: Step(name) for name in (*DECISIVE, *DRILLS)}
        self._has_tls = spec.tls is not None
        self._filters = tuple(item.topic_filter for item in spec.subscriptions)
        self._left_out = tuple(filter(is_shared, self._filters))

    @property
    def steps(self) -> list[Step]:
        """All steps in their order."""
        return list(self._steps.values())

    @property
    def failed(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.state is StepState.FAILED), None)

    @property
    def verdict(self) -> str:
        """`ok`, `warning` or `failed`."""
        states = {step.state for step in self.steps}
        if StepState.FAILED in states:
            return "failed"
        return "warning" if StepState.WARNING in states else "ok"

    def enter(self, name: str, now: float) -> None:
        """Begin the step `name`: what ran before it has worked, what lies between is skipped.

        A step that begins again (the next address of a name) keeps its beginning.
        """
        number = DECISIVE.index(name)
        for step in (self._steps[earlier] for earlier in DECISIVE[:number]):
            if step.state is StepState.RUNNING:
                step.end(StepState.OK, now)
        if not self._has_tls:
            self._steps["tls"].end(StepState.SKIPPED, now, "no_tls")
        for later in DECISIVE[number + 1 :]:
            if self._steps[later].state is not StepState.SKIPPED:
                self._steps[later] = Step(later)
        self.begin(name, now)

    def begin(self, name: str, now: float) -> None:
        """Let a step run, unless it does already."""
        step = self._steps[name]
        if step.began_at is None:
            step.began_at = now
        step.state = StepState.RUNNING

    def restart(self, name: str, now: float) -> None:
        """Count the time of a step from `now` on."""
        self._steps[name].began_at = now

    def end(
        self, name: str, state: StepState, now: float, code: str | None = None, **detail: Any
    ) -> None:
        """End a step."""
        self._steps[name].end(state, now, code, **detail)

    def up(self, refused: Cause | None, now: float) -> None:
        """Take note that the session is up; `refused` says which Topic Filters are not granted."""
        if refused is not None:
            self.end("suback", StepState.FAILED, now, refused.code, **refused.detail)
        elif not self._filters:
            self.end("suback", StepState.SKIPPED, now, "no_filters")
        elif self._left_out:
            state = StepState.SKIPPED if self._left_out == self._filters else StepState.OK
            names = ", ".join(self._left_out)
            self.end("suback", state, now, "filters_left_out", filters=names)
        else:
            self.end("suback", StepState.OK, now)

    def fail(self, why: Cause, now: float) -> None:
        """End the step that runs, or the first that waits, as failed; the rest is not reached."""
        step = self._present
        if step is not None:
            step.end(StepState.FAILED, now, why.code, **why.detail)
        self.give_up(now)

    def give_up(self, now: float, code: str = "not_reached", **detail: Any) -> None:
        """Skip every step that has not ended."""
        for step in self.steps:
            if step.state in {StepState.PENDING, StepState.RUNNING}:
                step.end(StepState.SKIPPED, now, code, **detail)

    @property
    def _present(self) -> Step | None:
        for state in (StepState.RUNNING, StepState.PENDING):
            for step in self.steps:
                if step.state is state:
                    return step
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """Return the steps as they are stored."""
        return [
            {
                "name": step.name,
                "state": step.state.value,
                "ms": step.ms,
                "reason_code": step.reason_code,
                "detail": dict(step.detail),
            }
            for step in self.steps
        ]


# --- what is connected with ------------------------------------------------------------


def probe_id(client_id: str, token: str) -> str:
    """Return a client id that shows whose test it is and disturbs nobody.

    Never longer than the real one, or than what every broker must accept.
    """
    suffix = f"-probe-{token}"
    longest = max(SAFE_ID_BYTES, len(client_id.encode()))
    kept = client_id.encode()[: longest - len(suffix)].decode(errors="ignore")
    return kept + suffix


def is_shared(topic_filter: str) -> bool:
    """Whether the broker gives each message of this filter to only one of its subscribers."""
    return topic_filter.startswith("$share/")


def private_topic(spec: ConnectionSpec, token: str) -> str:
    """Return a topic below the status topic that nobody else uses."""
    return f"{spec.test_topics}{token}"


def trial_spec(spec: ConnectionSpec, client_id: str, timeout: float) -> ConnectionSpec:
    """Return what the test connects with: as the record, but with nothing to say to others.

    No will and no status message: the status topic belongs to the live connection. No
    session that the broker would keep.
    """
    wanted = tuple(item for item in spec.subscriptions if not is_shared(item.topic_filter))
    return replace(
        spec,
        client_id=client_id,
        clean_session=True,
        session_expiry_s=0,
        connect_timeout_s=timeout,
        status_topic="",
        announce_who=False,
        self_ping_s=0,
        subscriptions=wanted,
    )


def crash_spec(
    spec: ConnectionSpec, client_id: str, timeout: float, topic: str, payload: str
) -> ConnectionSpec:
    """Return what the client connects with that is cut off to see its Will Message."""
    return replace(
        trial_spec(spec, client_id, timeout),
        subscriptions=(),
        status_topic=topic,
        online_payload="",
        offline_payload=payload,
        status_retain=False,
    )
