"""A session with a broker, as the service sees it.

Everything here runs on the hub's own thread; nothing blocks. What happens is reported
by calling the two functions given to `Transport.open`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mqttworker.core.events import Event
from mqttworker.core.spec import ConnectionSpec


@dataclass(frozen=True, slots=True)
class InboundMessage:
    """A received PUBLISH."""

    #: None where the Topic Name is not valid UTF-8.
    topic: str | None
    payload: bytes
    qos: int
    retain: bool
    dup: bool


#: Takes Opened, Failed, Lost or Closed.
Report = Callable[[Event], None]
#: Takes each message; must not raise.
Receive = Callable[[InboundMessage], None]


class Session(Protocol):
    """One try and, if it works out, the session that follows."""

    @property
    def is_open(self) -> bool:
        """Whether the network connection stands and the session is up."""

    def close(self, grace: float) -> None:
        """Publish `offline`, wait up to `grace` seconds for its PUBACK, DISCONNECT.

        Reports Closed, also when the broker does not answer: then the socket is
        dropped without a DISCONNECT and the broker publishes the will instead.
        """

    def abort(self) -> None:
        """Drop the socket at once. Nothing is reported any more."""


class Transport(Protocol):
    """Makes sessions."""

    def open(
        self, spec: ConnectionSpec, protocol: str, report: Report, receive: Receive
    ) -> Session:
        """Begin to connect. Reports Opened or Failed once, Lost at most once later."""

    def knock(self, spec: ConnectionSpec, answer: Callable[[bool], object]) -> None:
        """Call `answer` with whether the broker's port takes TCP connections now."""
