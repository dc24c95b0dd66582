"""A broker in memory: client ids, wills, retained messages, and faults on demand."""

from __future__ import annotations

import typing
from collections import deque
from collections.abc import Mapping

from database.words import Protocol
from mqttworker.core.cause import Cause, cause
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import ConnectionSpec


class Client(typing.Protocol):
    """A connected client, as the broker sees it."""

    @property
    def protocol(self) -> str:
        """The MQTT version that it speaks."""

    def deliver(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """Hand a message on if this client subscribed to its topic."""

    def lose(self, why: Cause) -> None:
        """End the session without its doing."""

    def hear_nothing(self) -> None:
        """Notice a broker that went silent as late as a real session would."""


class FakeBroker:
    """One listener on `host`:`port`. Change its attributes to make it misbehave."""

    def __init__(
        self,
        host: str = "fake.example",
        port: int = 1883,
        *,
        users: Mapping[str, str] | None = None,
        protocols: frozenset[str] = frozenset({Protocol.V5, Protocol.V311}),
    ) -> None:
        self.address = (host.lower(), port)
        self.users = users
        self.protocols = protocols
        #: Answers to the next tries, one each; then it accepts again.
        self.refusals: deque[Cause] = deque()
        #: Topic Filters that nobody may read.
        self.refused_filters: set[str] = set()
        #: Whether it says DISCONNECT 0x8E to an MQTT 5 client that was taken over.
        self.names_rivals = False
        self.is_listening = True
        self.is_frozen = False
        #: Every try that reached it: (spec, MQTT version).
        self.tries: list[tuple[ConnectionSpec, str]] = []
        #: Everything that was ever published, wills included.
        self.published: list[InboundMessage] = []
        self.retained: dict[str, InboundMessage] = {}
        self.clients: dict[str, Client] = {}

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Publish as some other client does."""
        message = InboundMessage(topic, payload, qos, retain, dup=False)
        self.published.append(message)
        if retain:
            self.retained.pop(topic, None)
            if payload:
                self.retained[topic] = message
        for session in list(self.clients.values()):
            session.deliver(topic, payload, qos, retain=False)

    def kick(self, client_id: str) -> None:
        """Close the connection of one client without a word."""
        self.clients[client_id].lose(cause("peer_closed"))

    def stop(self) -> None:
        """End: every client is closed, the port refuses."""
        self.is_listening = False
        for session in list(self.clients.values()):
            session.lose(cause("peer_closed"))

    def start(self) -> None:
        """Listen again, with the retained messages of before."""
        self.is_listening = True

    def freeze(self) -> None:
        """Answer nothing from now on; sockets stay open, new ones too."""
        self.is_frozen = True
        for session in list(self.clients.values()):
            session.hear_nothing()

    def thaw(self) -> None:
        """Answer again; tries and sessions that gave up meanwhile stay ended."""
        self.is_frozen = False

    def judge(self, spec: ConnectionSpec, protocol: str) -> Cause | None:
        """Return why a CONNECT is refused, None if it is accepted."""
        self.tries.append((spec, protocol))
        if self.refusals:
            return self.refusals.popleft()
        if protocol not in self.protocols:
            return cause("unsupported_protocol_version", raw_code=1, protocol=protocol)
        if self.users is None or (spec.username or "", spec.password) in self.users.items():
            return None
        return cause("bad_user_name_or_password", raw_code=4 if protocol == Protocol.V311 else 0x86)
