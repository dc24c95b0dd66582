"""What the service writes down about a connection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from database.words import ConnectionState
from mqttworker.core.cause import Cause
from mqttworker.core.fallback import Fallback


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a connection carried since the worker started."""

    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    #: QoS 0 messages that came while the intake was full.
    messages_dropped: int = 0
    bytes_dropped: int = 0
    #: Messages that the database does not take, kept as dead letters.
    messages_set_aside: int = 0
    last_message_at: datetime | None = None
    #: How long the last self-ping took, milliseconds.
    round_trip_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """The whole state of one connection at one moment; times are UTC."""

    connection_id: int
    state: ConnectionState
    why: Cause
    since: datetime
    attempt: int = 0
    connected_since: datetime | None = None
    #: When the last session was lost or the first try failed, None while a session exists.
    down_since: datetime | None = None
    #: Whether this worker had a session of it.
    was_connected: bool = False
    next_attempt_at: datetime | None = None
    client_id: str | None = None
    status_topic: str | None = None
    protocol_negotiated: str | None = None
    #: The broker at which MQTT 5 does not work, if `auto` found that.
    version_fallback: Fallback | None = None
    #: The Keep Alive in force, seconds.
    keepalive_s: int | None = None
    #: Whether the broker had kept our session; None while there is none.
    session_present: bool | None = None
    broker_cert_subject: str | None = None
    broker_cert_expires_at: datetime | None = None
    #: Fingerprints of the certificates that verified it, blanks between.
    verified_chain: str | None = None
    applied_revision: int | None = None
    traffic: Traffic = Traffic()


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state, for the timeline."""

    connection_id: int
    at: datetime
    state: ConnectionState
    previous_state: ConnectionState | None
    why: Cause
    #: Part of what happens to most connections of its broker, which is told once for all.
    is_shared: bool = False
    #: Another try that ended for the reason that was told last.
    is_repetition: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be stored, of all connections."""

    messages: int = 0
    bytes: int = 0
    #: Since when the oldest does.
    since: datetime | None = None
    #: Why it does: a code of `database.reasons`; None while messages are stored as they come.
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Beat:
    """What the worker says of itself."""

    worker_id: str
    hostname: str
    pid: int
    boot_id: str
    version: str
    started_at: datetime
    state: str
    hub_lag_ms: float
    rss_bytes: int
    connections: int
    connected: int
    waiting: Waiting = Waiting()
