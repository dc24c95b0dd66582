"""The words that are stored. Standard library only."""

from __future__ import annotations

from enum import StrEnum

#: Stands in `connection_traffic` where all connections together are meant; no record has this id.
ALL_CONNECTIONS = 0


class ConnectionState(StrEnum):
    """Where the life of one connection stands (facts, written by the worker)."""

    #: Wanted, not yet picked up by the worker.
    PENDING = "pending"
    #: DNS, TCP, TLS, CONNACK or SUBACK in progress, under one deadline.
    CONNECTING = "connecting"
    #: CONNACK accepted, every subscription granted, broker heard from lately.
    CONNECTED = "connected"
    #: Connected, but a subscription was refused or a probe failed.
    DEGRADED = "degraded"
    #: The last try failed; the next one has a time.
    BACKOFF = "backoff"
    #: Short sessions or failures again and again; a long wait.
    COOLDOWN = "cooldown"
    #: The broker said no; slow retry, an operator should look.
    REFUSED = "refused"
    #: The record cannot be used; waits for an edit.
    CONFIG_ERROR = "config_error"
    #: `offline` published, DISCONNECT on its way.
    STOPPING = "stopping"
    #: Not wanted.
    DISABLED = "disabled"
    #: Never stored: readers derive it when the worker's heartbeat is stale.
    UNKNOWN = "unknown"


#: A session with the broker exists.
UP_STATES = frozenset({ConnectionState.CONNECTED, ConnectionState.DEGRADED})
#: Wanted, and without a session: going from one of these to another is another try.
DOWN_STATES = frozenset(
    {
        ConnectionState.CONNECTING,
        ConnectionState.BACKOFF,
        ConnectionState.COOLDOWN,
        ConnectionState.REFUSED,
        ConnectionState.CONFIG_ERROR,
    }
)
#: Nothing to do until a time that the status row names.
WAITING_STATES = frozenset(
    {ConnectionState.BACKOFF, ConnectionState.COOLDOWN, ConnectionState.REFUSED}
)


class WorkerState(StrEnum):
    """What a worker process says of itself in its heartbeat."""

    #: Waits for the database, the schema or its lease.
    STARTING = "starting"
    #: Holds the lease and runs the connections.
    RUNNING = "running"
    #: Another worker holds the lease; this one waits to take over.
    STANDBY = "standby"
    #: Closing its connections.
    STOPPING = "stopping"
    #: Ended in an orderly way; nothing runs.
    STOPPED = "stopped"


class Protocol(StrEnum):
    """The MQTT version of a record, as operators write it."""

    #: Try 5 first, fall back to 3.1.1.
    AUTO = "auto"
    V5 = "5"
    V311 = "3.1.1"


class Origin(StrEnum):
    """Who caused a transition."""

    BROKER = "broker"
    NETWORK = "network"
    CLIENT = "client"
    WORKER = "worker"
    OPERATOR = "operator"


class Certainty(StrEnum):
    """Whether the reason was stated or concluded."""

    CERTAIN = "certain"
    INFERRED = "inferred"


class CommandKind(StrEnum):
    """What the web may ask of the worker for one connection."""

    RECONNECT = "reconnect"
    CLEAR_COOLDOWN = "clear_cooldown"
    TEST = "test"
    PUBLISH = "publish"


class CommandState(StrEnum):
    """How far the worker got with a command."""

    ACCEPTED = "accepted"
    DONE = "done"
    FAILED = "failed"
