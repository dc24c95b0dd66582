"""Is another client using our client id? Found by pattern, as brokers rarely say.

Most brokers close a client that was taken over without a word (mosquitto before 2.1,
every broker for MQTT 3.1.1). The sign is a series of sessions that the broker closed
soon after it had accepted them, while its listener stayed up: a broker that restarts
takes its listener down before it closes its clients. Sessions that were lost together
with others of the same broker speak more of the broker, so they count half; a whole
second instance of this worker, a cloned machine for example, is still found out.
"""

from __future__ import annotations

from dataclasses import dataclass

#: So many closed sessions within WINDOW are a verdict, twice as many if lost with others ...
SESSIONS = 3
WINDOW = 120.0  # seconds
#: ... when all but the first ended this soon after their CONNACK.
SHORT_SESSION = 30.0  # seconds
#: A first session that lasted this long was there before the rival: it threw nobody out.
UNDISPUTED_SESSION = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Session:
    """One session that the broker closed without a reason."""

    opened_at: float
    closed_at: float
    #: No other connection to the same broker was lost at the same time.
    alone: bool = True

    @property
    def weight(self) -> float:
        """What it counts for a verdict."""
        return 1.0 if self.alone else 0.5

    @property
    def is_short(self) -> bool:
        """Whether it ended soon after its CONNACK."""
        return self.closed_at - self.opened_at < SHORT_SESSION

    @property
    def is_our_own(self) -> bool:
        """Whether it stood long enough to show that no rival was there when it began."""
        return self.closed_at - self.opened_at >= UNDISPUTED_SESSION


def remember(evidence: tuple[Session, ...], session: Session) -> tuple[Session, ...]:
    """Add a closed session and drop what is too old to matter.

    A long session starts the series anew: whatever came before it was survived.
    """
    recent = tuple(s for s in evidence if session.closed_at - s.closed_at <= WINDOW)
    return (*recent, session) if session.is_short else (session,)


def is_duplicate(evidence: tuple[Session, ...]) -> bool:
    """Whether the evidence makes a verdict."""
    enough = sum(session.weight for session in evidence) >= SESSIONS
    return enough and all(session.is_short for session in evidence[1:])


def earliest_retry(evidence: tuple[Session, ...]) -> float:
    """Return the moment from which another takeover keeps us within SESSIONS a WINDOW.

    Each session that we open against a rival throws it out; this bounds the harm.
    """
    ours = evidence[1:] if evidence and evidence[0].is_our_own else evidence
    if len(ours) < SESSIONS:
        return 0.0
    return ours[-SESSIONS].opened_at + WINDOW
