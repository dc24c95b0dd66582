"""Wishes: what operators want. Written by the web, read by the worker."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Integer, String, Text, func, text
from sqlalchemy.orm import Mapped, column_property, mapped_column, relationship

from database.base import Base
from database.clock import database_now
from database.types import EncryptedText, RowId, UTCDateTime, Word
from database.words import CommandKind


class Connection(Base):
    """One connection record: a broker, a login, a will. At most one client a record.

    Every column but name, site and host has a default in the database, so that a row
    inserted by plain SQL is whole. Values are checked by `database.rules`, not by the
    database: a row that breaks them is shown as `config_error`, never lost.
    """

    __tablename__ = "connection"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - ids are never reused

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    site: Mapped[str] = mapped_column(String(200), index=True)
    host: Mapped[str] = mapped_column(Text)
    port: Mapped[int] = mapped_column(Integer, default=1883, server_default="1883")
    is_enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))

    #: A `words.Protocol`, kept as text so that a wrong word is a finding, not a crash.
    protocol: Mapped[str] = mapped_column(Text, default="auto", server_default="auto")
    #: A template: `{site}`, `{hostname}`, `{name}` and `{id}` are filled in.
    client_id: Mapped[str] = mapped_column(
        Text, default="{site}_{hostname}", server_default="{site}_{hostname}"
    )
    #: Clean Start (5) or Clean Session (3.1.1).
    clean_session: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    #: Session Expiry Interval in seconds, MQTT 5 only.
    session_expiry_s: Mapped[int] = mapped_column(RowId, default=0, server_default="0")
    #: Keep Alive in seconds.
    keepalive_s: Mapped[int] = mapped_column(Integer, default=5, server_default="5")
    #: One deadline in seconds over DNS, TCP, TLS, CONNACK and SUBACK.
    connect_timeout_s: Mapped[int] = mapped_column(Integer, default=10, server_default="10")

    tls: Mapped[bool] = mapped_column(Boolean, default=False, server_default=text("false"))
    tls_verify: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    #: CA certificates to trust instead of the system's, PEM.
    tls_ca_pem: Mapped[str | None] = mapped_column(Text)
    tls_client_cert_pem: Mapped[str | None] = mapped_column(Text)

    username: Mapped[str | None] = mapped_column(Text)

    #: Topic of the will and of the online message; a template like `client_id`.
    status_topic: Mapped[str] = mapped_column(
        Text, default="{site}/backend/status", server_default="{site}/backend/status"
    )
    online_payload: Mapped[str] = mapped_column(Text, default="online", server_default="online")
    offline_payload: Mapped[str] = mapped_column(Text, default="offline", server_default="offline")
    status_qos: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    status_retain: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    #: Keep `<status_topic>/who` up to date: which process holds the client id.
    announce_who: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    #: Seconds between two messages to ourselves through the broker; 0 sends none.
    self_ping_s: Mapped[int] = mapped_column(Integer, default=0, server_default="0")

    #: Messages older than this many days are removed; 0 goes by the installation's limit.
    keep_messages_days: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    #: Beyond this many megabytes the oldest messages go; 0 goes by the installation's limit.
    keep_messages_mb: Mapped[int] = mapped_column(Integer, default=0, server_default="0")

    notes: Mapped[str] = mapped_column(Text, default="", server_default="")
    #: Optimistic lock; also tells whether an edit has been applied.
    revision: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    created_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(
        UTCDateTime, server_default=func.now(), onupdate=database_now()
    )

    #: Secrets are not read unless asked for: no page needs them.
    password: Mapped[str | None] = mapped_column(EncryptedText, deferred=True)
    tls_client_key_pem: Mapped[str | None] = mapped_column(EncryptedText, deferred=True)

    subscriptions: Mapped[list[Subscription]] = relationship(
        back_populates="connection",
        cascade="all, delete-orphan",
        passive_deletes=True,
        order_by="Subscription.id",
    )

    #: Whether a secret is stored, without reading it.
    has_password: Mapped[bool] = column_property(password.is_not(None))
    has_client_key: Mapped[bool] = column_property(tls_client_key_pem.is_not(None))

    __mapper_args__ = {"version_id_col": revision}  # noqa: RUF012 - SQLAlchemy's own name

    def __str__(self) -> str:
        return self.name


class Subscription(Base):
    """A Topic Filter that a connection subscribes to each time it connects."""

    __tablename__ = "subscription"
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    connection_id: Mapped[int] = mapped_column(
        ForeignKey("connection.id", ondelete="CASCADE"), index=True
    )
    topic_filter: Mapped[str] = mapped_column(Text)
    #: Maximum QoS asked for: 0, 1 or 2.
    qos: Mapped[int] = mapped_column(Integer, default=1, server_default="1")
    is_enabled: Mapped[bool] = mapped_column(Boolean, default=True, server_default=text("true"))
    #: A message is expected at least every so many seconds; 0 expects none.
    expected_every_s: Mapped[int] = mapped_column(Integer, default=0, server_default="0")

    connection: Mapped[Connection] = relationship(back_populates="subscriptions")

    def __str__(self) -> str:
        return self.topic_filter


class Command(Base):
    """Something the web asks the worker to do once for a connection."""

    __tablename__ = "command"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - ids are never reused

    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    #: Null for the test of a record that was never saved.
    connection_id: Mapped[int | None] = mapped_column(
        ForeignKey("connection.id", ondelete="CASCADE"), index=True
    )
    kind: Mapped[CommandKind] = mapped_column(Word(CommandKind))
    #: What the kind needs, for example topic and payload; encrypted, as drafts hold secrets.
    parameters: Mapped[str | None] = mapped_column(EncryptedText)
    requested_by: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(UTCDateTime, server_default=func.now())


class ConfigVersion(Base):
    """One row that moves with every wish, in the same transaction."""

    __tablename__ = "config_version"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(RowId, default=1, server_default="1")
