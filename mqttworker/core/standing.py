"""Where one connection stands: everything that decides what happens to it next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from database.words import UP_STATES, WAITING_STATES, Protocol
from database.words import ConnectionState as State
from mqttworker.core import takeover
from mqttworker.core.ailments import Ailments
from mqttworker.core.cause import Cause, cause

ENABLED = cause("enabled")
SUCCESS = cause("success")


@dataclass(frozen=True, slots=True)
class Life:
    """Where one connection stands. All times are monotonic seconds."""

    #: `words.Protocol` of the record.
    wanted_protocol: str
    connect_timeout: float
    #: 3.1.1 cannot carry the login; `auto` does not try it.
    needs_mqtt_5: bool = False
    #: The broker keeps the session while we are away.
    keeps_session: bool = False
    #: The QoS of the Will Message, lowered where the broker takes less.
    will_qos: int = 0
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
    #: What is wrong with the session, the gravest first; none while it is whole, or gone.
    ailments: Ailments = ()
    #: When the state ends by itself: the next try, or the moment it counts as stuck.
    due_at: float | None = None
    #: The last moment at which a CONNECT may have been on its way.
    tried_at: float = float("-inf")
    #: `auto` found that this broker wants 3.1.1, and when MQTT 5 was tried last.
    fell_back: bool = False
    tried_5_at: float = float("-inf")
    #: Why the other MQTT version did not work, None while that was not tried.
    other_version_why: Cause | None = None
    #: It waits because the broker or the network could not be reached.
    is_cut_off: bool = False
    #: It waits because a session of its own did not last.
    is_flapping: bool = False
    #: Sessions that another client may have ended, and how far the test of that has come.
    evidence: tuple[takeover.Session, ...] = ()
    trial: takeover.Trial = takeover.Trial.NONE
    #: The life is over; the greenlet may end.
    is_over: bool = False

    @property
    def is_up(self) -> bool:
        """Whether a session exists."""
        return self.state in UP_STATES

    @property
    def trial_ends_at(self) -> float | None:
        """When a session with another client id has outlived those with our own."""
        if self.trial is not takeover.Trial.DUE or not self.is_up or self.connected_at is None:
            return None
        return self.connected_at + takeover.trial_seconds(self.evidence)

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


def enter(life: Life, state: State, why: Cause, now: float, **changes: Any) -> Life:
    """Return the life in a state that it has entered now."""
    ailments = life.ailments if state in UP_STATES else ()
    changes = {"is_cut_off": False, "is_flapping": False, "ailments": ailments, **changes}
    return replace(life, state=state, why=why, since=now, **changes)
