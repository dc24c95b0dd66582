"""A session with a broker, as the service sees it.

Everything here runs on the hub's own thread; nothing blocks. What happens is reported
by calling the two functions given to `Transport.open`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from database.publications import NO_PROPERTIES, Properties
from mqttworker.core.cause import Cause
from mqttworker.core.events import Event
from mqttworker.core.messages import InboundMessage
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    """A PUBLISH to send."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES
    #: How long it may wait behind others before it is not sent at all, seconds. None for
    #: what we say of ourselves: that goes first, and waits as long as the session stands.
    patience_s: float | None = None


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """How the broker acknowledged a PUBLISH with QoS 1 or 2."""

    #: The Reason Code; None in MQTT 3.1.1, which has none.
    code: int | None
    #: The broker's Reason String, empty if it gave none.
    said: str
    #: From writing the PUBLISH to its PUBACK or PUBCOMP.
    seconds: float
    #: Whether a message with QoS 2 was answered with a PUBACK: the broker has it with QoS 1.
    is_qos_lowered: bool = False


def status_message(spec: ConnectionSpec, payload: str, maximum_qos: int = 2) -> OutboundMessage:
    """Return what tells others on the status topic how this client is.

    `maximum_qos` is the most that the broker takes.
    """
    qos = min(spec.status_qos, maximum_qos)
    return OutboundMessage(spec.status_topic, payload.encode(), qos, spec.status_retain)


@dataclass(frozen=True, slots=True)
class Certificate:
    """What the broker showed of itself in the TLS handshake."""

    subject: str
    expires_at: datetime
    #: SHA-256 of the certificates that verified it, hexadecimal, its own first.
    verified_chain: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed on with the broker beyond the MQTT version."""

    #: The Keep Alive in force, seconds.
    keepalive_s: int = 0
    certificate: Certificate | None = None
    #: Whether the broker had kept our session (CONNACK, Session Present).
    session_present: bool = False
    #: The highest QoS that the broker takes from us.
    maximum_qos: int = 2


#: Takes Opened, Greeted, OwnTopicsRefused, Failed, Lost or Closed.
Report = Callable[[Event], None]
#: Takes the messages of one read, in order; must not raise. Returns those that are safe at
#: once; each other with QoS 1 or 2 is given to `Session.acknowledge` when it is.
Receive = Callable[[Sequence[InboundMessage]], Sequence[InboundMessage]]
#: Hears what became of a PUBLISH: None if the broker has it (with QoS 0, if it was written).
Acknowledged = Callable[[Cause | None], object]
#: Hears how the broker acknowledged a PUBLISH.
Heard = Callable[[Acknowledgement], object]
#: Hears of each phase of a try as it begins: dns, tcp, tls, connack, suback.
Progress = Callable[[str], object]


def ignore(_news: object) -> None:
    """Take no notice."""


def keep_nothing(messages: Sequence[InboundMessage]) -> Sequence[InboundMessage]:
    """Receive messages that nobody wants."""
    return messages


class Session(Protocol):
    """One try and, if it works out, the session that follows."""

    @property
    def is_open(self) -> bool:
        """Whether the network connection stands and the session is up."""

    @property
    def terms(self) -> Terms:
        """What was agreed on; known from Opened on."""

    @property
    def greeted_at(self) -> float | None:
        """When `online` was published, monotonic seconds; None while it was not."""

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Tell the broker that `messages` are safe.

        Also those of an earlier session of the connection: what its receipts know of the
        present one is acknowledged, the rest needs nothing. Messages with QoS 0 are let pass.
        """

    def complete(self, identifiers: Sequence[int]) -> None:
        """Answer the PUBRELs under `identifiers`, whose release is written down now.

        Also those of an earlier session of the connection, as with `acknowledge`.
        """

    def pause_reading(self) -> None:
        """Take nothing more from the broker until `resume_reading`.

        Both may come twice, and at any time: where there is no socket they mean nothing.
        """

    def resume_reading(self) -> None:
        """Take messages again."""

    def publish(self, message: OutboundMessage, done: Acknowledged, heard: Heard = ignore) -> None:
        """Send `message`; `done` is called once, later, also if the session ends first.

        `heard` is called before it with the acknowledgement, if there is one.
        """

    def close(self, grace: float) -> None:
        """Take no more messages, publish `offline`, wait for its PUBACK, DISCONNECT.

        Before that it waits until what was taken is acknowledged, for 2 s at most, and then
        up to `grace` seconds for the PUBACK.
        Reports Closed, also when the broker does not answer: then the socket is
        dropped without a DISCONNECT and the broker publishes the will instead.
        """

    def abort(self) -> None:
        """Drop the socket at once. Nothing is reported any more."""


class Transport(Protocol):
    """Makes sessions."""

    def open(
        self,
        spec: ConnectionSpec,
        protocol: str,
        report: Report,
        receive: Receive,
        *,
        watch: tuple[str, ...] = (),
        receipts: Receipts | None = None,
        progress: Progress = ignore,
    ) -> Session:
        """Begin to connect. `receipts` are those of the connection's sessions so far.

         Reports Opened or Failed once, Lost at most once later.

        After Opened it subscribes to the topics of `watch`, reports OwnTopicsRefused if the
        broker refuses some of them, publishes `online`, and reports Greeted when that is answered.
        """

    def knock(self, spec: ConnectionSpec, answer: Callable[[bool], object]) -> None:
        """Call `answer` with whether the broker's port takes TCP connections now."""
