"""What can happen to a connection, and what it asks for in return."""

from __future__ import annotations

from dataclasses import dataclass

from mqttworker.core.cause import Cause

# --- events ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """The record is wanted; `why` says since when: enabled, edited or worker started."""

    why: Cause
    #: Set when the record cannot be used.
    flaw: Cause | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """The moment that `Life.due_at` names has come."""


@dataclass(frozen=True, slots=True)
class Postponed:
    """The limiter or the lease allows the next try only at `until`."""

    until: float


@dataclass(frozen=True, slots=True)
class Sooner:
    """The broker is back, or serves others: who waited for that may try from `at` on."""

    at: float


@dataclass(frozen=True, slots=True)
class Opened:
    """CONNACK accepted and every SUBSCRIBE answered."""

    #: `words.Protocol` that was agreed on.
    protocol: str
    #: Topic Filters that the broker refused.
    refused_filters: tuple[str, ...] = ()
    #: The lowest SUBACK code that refused one.
    raw_code: int | None = None


@dataclass(frozen=True, slots=True)
class Greeted:
    """The broker has answered our `online` and knows which of our own topics we watch."""

    #: Why it does not take `online`, None if it said nothing of that.
    refused: Cause | None = None
    #: It would have said so: its answer to a PUBLISH has a Reason Code.
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class OwnTopicsRefused:
    """The broker does not let us read some of our own topics."""

    #: Each with its SUBACK code.
    topics: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Impaired:
    """The session stands and does not do what it should.

    Several ailments may come together, each named by its code: `core.ailments`. They end
    with the session. Whoever tells of one that may outlast it, such as messages that cannot
    be stored, tells again after Opened: Impaired(cause("messages_not_stored", problem=...)).
    """

    why: Cause


@dataclass(frozen=True, slots=True)
class Recovered:
    """What `Impaired` told of is over; the code says what.

    `messages_stored_again` ends `messages_not_stored`, `self_ping_returned` a
    `self_ping_missed`, `subscription_heard` a `subscription_quiet`. Harmless where there is
    nothing to end.
    """

    why: Cause


@dataclass(frozen=True, slots=True)
class Broken:
    """The session seems to stand, and traffic does not flow: it is given up."""

    why: Cause


@dataclass(frozen=True, slots=True)
class RivalNamed:
    """Another client is known that the broker takes for this one.

    It has left its name at the broker, or it is one of our own with the same login.
    """

    why: Cause


@dataclass(frozen=True, slots=True)
class Outlived:
    """The session with another client id stands longer than those with our own did."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The try ended before the session was up."""

    why: Cause


@dataclass(frozen=True, slots=True)
class Lost:
    """The session ended without our doing."""

    why: Cause
    #: No other connection to the same broker was lost at the same time.
    alone: bool = True
    #: The broker took a TCP connection right afterwards: it was not the broker that ended.
    door_open: bool = True
    #: Why another connection of ours ended it by beginning, None if none did.
    taken_over: Cause | None = None
    #: A packet of ours had no answer yet.
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class Reconnect:
    """Somebody wants a new session now: an operator, or the monitor for a stuck one."""

    why: Cause


@dataclass(frozen=True, slots=True)
class Stop:
    """The connection is not wanted any more (disabled, edited, worker ends)."""

    why: Cause


@dataclass(frozen=True, slots=True)
class Closed:
    """The session that was asked to close is gone."""


Event = (
    Start
    | Due
    | Postponed
    | Sooner
    | Opened
    | Greeted
    | OwnTopicsRefused
    | Impaired
    | Recovered
    | Broken
    | RivalNamed
    | Outlived
    | Failed
    | Lost
    | Reconnect
    | Stop
    | Closed
)

# --- commands --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """Make a new session with this MQTT version."""

    protocol: str
    #: See `core.takeover`.
    with_other_client_id: bool = False
    #: The highest QoS of the Will Message that the broker may take.
    will_qos: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """Publish `offline`, DISCONNECT, and report Closed."""


@dataclass(frozen=True, slots=True)
class Abort:
    """Drop the socket at once; nothing more is reported of that session."""


Command = Open | Close | Abort
