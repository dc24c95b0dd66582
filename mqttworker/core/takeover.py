"""Is another client using our client id? Inferred from a pattern, as brokers rarely say.

Most brokers close a client that was taken over without a word (mosquitto before 2.1, every
broker for MQTT 3.1.1). A bad path and a broker that ends every session look the same, so two
short sessions are only a suspicion. It is tested with one session that has another client id:

- it ends, too: the broker or the path ends sessions, whatever their client id;
- it outlives the others: one more session with our own id decides. If the broker closes that
  one soon, the client id is what makes the difference;
- the broker refuses it: the pattern decides.

A broker that restarts takes its listener down before it closes its clients: such losses are
no evidence. Sessions that were lost together with others of the same broker speak more of the
broker, so they count half; a whole second instance of this worker, a cloned machine for
example, is still noticed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto

from mqttworker.core.spec import ConnectionSpec

#: So many short sessions within WINDOW are suspicious, twice as many if lost with others.
SESSIONS = 2
WINDOW = 120.0  # seconds
#: A session is short if it ended this soon after its CONNACK.
SHORT_SESSION = 30.0  # seconds
#: The session with another client id outlives the others if it stands this long at least,
#: seconds, and this many times as long as the longest of them.
LEAST_TRIAL, OUTLIVES = SHORT_SESSION + 1.0, 2.0


class Trial(Enum):
    """How far the test of a suspicion has come."""

    NONE = auto()
    #: The session that is next, or present, has another client id.
    DUE = auto()
    #: That session outlived the others.
    STOOD = auto()
    #: The broker refused that session.
    REFUSED = auto()


@dataclass(frozen=True, slots=True)
class Session:
    """One session that the broker closed without a reason."""

    opened_at: float
    closed_at: float
    #: No other connection to the same broker was lost at the same time.
    alone: bool = True
    #: A packet of ours was unanswered: it may be what the broker hung up on.
    unanswered: bool = False

    @property
    def weight(self) -> float:
        """Return its weight as evidence of a rival."""
        return 1.0 if self.alone else 0.5

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return self.closed_at - self.opened_at

    @property
    def is_short(self) -> bool:
        """Whether it ended soon after its CONNACK."""
        return self.seconds < SHORT_SESSION


def remember(evidence: tuple[Session, ...], session: Session) -> tuple[Session, ...]:
    """Add a closed session and drop what is too old to matter.

    A long session starts the series anew: whatever came before it was survived.
    """
    if not session.is_short:
        return ()
    recent = (s for s in evidence if session.closed_at - s.closed_at <= WINDOW)
    return (*recent, session)


def is_suspicious(evidence: tuple[Session, ...]) -> bool:
    """Whether another client may be the reason.

    Not if the broker hung up on a packet of ours each time.
    """
    if all(session.unanswered for session in evidence):
        return False
    return sum(session.weight for session in evidence) >= SESSIONS


def trial_seconds(evidence: tuple[Session, ...]) -> float:
    """Return how long the session with another client id must stand."""
    longest = max((session.seconds for session in evidence), default=0.0)
    return max(LEAST_TRIAL, OUTLIVES * longest)


def with_other_client_id(spec: ConnectionSpec, client_id: str) -> ConnectionSpec:
    """Return `spec` for the session that tests a suspicion.

    The broker keeps nothing of it. What it keeps for `spec` comes with the next session of
    `spec`; nothing is subscribed to beside that, or it would come twice.
    """
    subscriptions = spec.subscriptions if spec.clean_session else ()
    return replace(
        spec,
        client_id=client_id,
        clean_session=True,
        session_expiry_s=0,
        subscriptions=subscriptions,
    )
