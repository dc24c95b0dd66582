"""What comes in for one connection, over all of its sessions."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from mqttworker.core.events import Event
from mqttworker.core.messages import InboundMessage
from mqttworker.core.receipts import Receipts
from mqttworker.core.room import Load
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import Session
from mqttworker.service.tally import Tally


class Owner(Protocol):
    """Whose messages they are: a connection manager."""

    @property
    def session(self) -> Session | None:
        """The present session, up or not."""

    def post(self, event: Event) -> None:
        """Let the connection handle `event` soon."""

    def is_own(self, message: InboundMessage) -> bool:
        """Take what is only between us and the broker; return whether it was that."""


class Queue(Protocol):
    """Where messages wait to be stored: the intake."""

    def take(self, inflow: Inflow, messages: Sequence[InboundMessage]) -> None:
        """Let `messages` wait for their turn."""

    def release(self, inflow: Inflow, identifier: int) -> None:
        """Queue the removal of an unreleased message."""

    def forget(self, inflow: Inflow) -> None:
        """Queue the removal of all unreleased messages."""

    def unreleased(self, connection_id: int) -> dict[int, int]:
        """Return what is written down of a connection's unreleased messages."""


class Inflow:
    """Knows what of a connection waits to be stored, and holds its broker back."""

    __slots__ = (
        "_identity",
        "_owner",
        "_queue",
        "connection_id",
        "is_stand_in",
        "load",
        "post",
        "receipts",
        "tally",
    )

    def __init__(self, connection_id: int, tally: Tally, owner: Owner, queue: Queue) -> None:
        self.connection_id = connection_id
        self.tally = tally
        #: Tells the connection of its own state.
        self.post = owner.post
        #: What waits to be stored.
        self.load = Load()
        self.receipts = Receipts()
        #: The present session has another client id, and receipts of its own.
        self.is_stand_in = False
        self._owner = owner
        self._queue = queue
        self._identity: tuple[object, ...] = ()

    @property
    def open_session(self) -> Session | None:
        """The session that stands, None while there is none."""
        session = self._owner.session
        return session if session is not None and session.is_open else None

    def is_for(self, spec: ConnectionSpec) -> None:
        """Forget the sessions of another Client Identifier or broker.

        Of a session that the broker keeps it is read what is not released: this waits for
        the database.
        """
        identity = (*spec.broker, spec.client_id, spec.clean_session)
        if identity == self._identity:
            return
        self.receipts = Receipts()
        if not spec.clean_session:
            key = blake2b(repr(identity).encode(), digest_size=16).digest()
            self.receipts = Receipts(self, key, self._queue.unreleased(self.connection_id))
        self._identity = identity

    def receive(self, messages: Sequence[InboundMessage]) -> Sequence[InboundMessage]:
        """Let all be stored but what is only between us and the broker, which is returned.

        Called on the loop: only takes note.
        """
        own = [message for message in messages if self._owner.is_own(message)]
        if own:
            done = {id(message) for message in own}
            messages = [message for message in messages if id(message) not in done]
        if messages:
            self._queue.take(self, messages)
        return own

    def pause(self) -> None:
        """Let the broker keep what it has."""
        self.tally.hold_back()
        if (session := self._owner.session) is not None:
            session.pause_reading()

    def resume(self) -> None:
        """Let the broker send again."""
        self.tally.let_go_on()
        if (session := self._owner.session) is not None:
            session.resume_reading()

    def stored(self, messages: Sequence[InboundMessage]) -> None:
        """Acknowledge what is committed."""
        session = self._owner.session
        if session is not None:
            session.acknowledge(messages)
            if not self.is_stand_in:
                return
        for message in messages:
            if message.qos:
                self.receipts.committed(message, is_open=False)

    # --- what its receipts ask for

    def release(self, identifier: int) -> None:
        """Queue the removal of a message that the broker has released."""
        self._queue.release(self, identifier)

    def forget(self) -> None:
        """Queue the removal of what belongs to a session that is gone."""
        self._queue.forget(self)

    def completed(self, identifiers: Sequence[int]) -> None:
        """Answer the PUBRELs whose release is written down."""
        session = self._owner.session
        if session is not None:
            session.complete(identifiers)
        else:
            self.receipts.completed(identifiers)
