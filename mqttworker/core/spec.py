"""What one connection is to be: a record with its templates filled in, ready to use."""

from __future__ import annotations

from dataclasses import dataclass, field

from mqttworker.core.cause import Cause


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
    def broker(self) -> tuple[str, int]:
        """What the connect limiter and the takeover evidence group by."""
        return (self.host.lower(), self.port)


@dataclass(frozen=True, slots=True)
class Record:
    """A wanted connection as read from the database: usable (`spec`) or not (`flaw`)."""

    connection_id: int
    name: str
    revision: int
    spec: ConnectionSpec | None = None
    flaw: Cause | None = None

    def same_connection(self, other: Record) -> bool:
        """Whether going from one to the other needs no reconnect."""
        return self.spec == other.spec and self.flaw == other.flaw
