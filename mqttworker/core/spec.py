"""What one connection is to be: a record with its templates filled in, ready to use."""

from __future__ import annotations

from dataclasses import dataclass, field

from database.hosts import normalized_host
from mqttworker.core.cause import Cause
from mqttworker.core.topics import matches


@dataclass(frozen=True, slots=True)
class TLSSettings:
    """TLS as a record asks for it; equal settings share one SSLContext."""

    verify: bool = True
    ca_pem: str | None = None
    client_cert_pem: str | None = None
    client_key_pem: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SubscriptionSpec:
    """A Topic Filter and the maximum QoS asked for."""

    topic_filter: str
    qos: int


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """Everything the transport needs. Two equal specs need no reconnect."""

    connection_id: int
    host: str
    port: int
    client_id: str
    #: `words.Protocol`: auto, 5 or 3.1.1.
    protocol: str = "auto"
    clean_session: bool = True
    session_expiry_s: int = 0
    keepalive_s: int = 5
    connect_timeout_s: float = 10
    tls: TLSSettings | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    status_topic: str = ""
    online_payload: str = "online"
    offline_payload: str = "offline"
    status_qos: int = 1
    status_retain: bool = True
    #: Keep `<status_topic>/who` up to date.
    announce_who: bool = True
    #: Seconds between two self-pings; 0 sends none.
    self_ping_s: int = 0
    subscriptions: tuple[SubscriptionSpec, ...] = ()

    @property
    def needs_mqtt_5(self) -> bool:
        """Whether 3.1.1 cannot carry the login: a password without a user name."""
        return bool(self.password) and not self.username

    @property
    def who_topic(self) -> str | None:
        """Where this client says which process it is, None if it does not."""
        return self._below_status("who") if self.announce_who else None

    @property
    def ping_topic(self) -> str | None:
        """Where this client publishes to itself, None if it does not."""
        return self._below_status("ping") if self.self_ping_s else None

    @property
    def test_topics(self) -> str | None:
        """How the topics begin that tests of this connection publish to."""
        return self._below_status("probe/")

    @property
    def watched_topics(self) -> tuple[str, ...]:
        """Our own topics to subscribe to beside the record's Topic Filters.

        One that such a filter covers already is left out: it would come twice, and an
        equal filter would take its QoS away.
        """
        own = (self.status_topic if self.announce_who else None, self.who_topic, self.ping_topic)
        return tuple(topic for topic in own if topic and not self.subscribes_to(topic))

    def subscribes_to(self, topic: str) -> bool:
        """Whether one of the record's Topic Filters matches `topic`."""
        return any(matches(item.topic_filter, topic) for item in self.subscriptions)

    def _below_status(self, level: str) -> str | None:
        return f"{self.status_topic}/{level}" if self.status_topic else None

    @property
    def broker(self) -> tuple[str, int]:
        """What the connect limiter and the takeover evidence group by."""
        return (normalized_host(self.host), self.port)


@dataclass(frozen=True, slots=True)
class Expectation:
    """What an operator said of one Topic Filter, beyond what the broker is asked for."""

    subscription_id: int
    topic_filter: str
    #: A message is expected at least every so many seconds; 0 expects none.
    every_s: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A wanted connection as read from the database: usable (`spec`) or not (`flaw`)."""

    connection_id: int
    name: str
    revision: int
    spec: ConnectionSpec | None = None
    flaw: Cause | None = None
    #: One a Topic Filter of the spec.
    expectations: tuple[Expectation, ...] = ()

    def same_connection(self, other: Record) -> bool:
        """Whether going from one to the other needs no reconnect."""
        return self.spec == other.spec and self.flaw == other.flaw
