"""One client of a broker: packets out, answers in, acknowledgements."""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import gmqtt

from database.words import Protocol
from mqttworker.adapters.gmqtt_client import phrases
from mqttworker.adapters.gmqtt_client.connection import KeptConnection
from mqttworker.adapters.gmqtt_client.reader import PacketReader
from mqttworker.adapters.lane import Ack
from mqttworker.adapters.outbox import Outbox
from mqttworker.core import allowance, answers, packets
from mqttworker.core.cause import Cause
from mqttworker.core.conformance import Conversation
from mqttworker.core.messages import InboundMessage
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec, SubscriptionSpec
from mqttworker.core.wire import bodies
from mqttworker.ports.transport import OutboundMessage

_WIRE_VERSIONS = {Protocol.V5: 5, Protocol.V311: 4}

#: First bytes of what answers a PUBLISH, at once or at last.
_PUBLISH_ANSWERS = frozenset({packets.PUBACK, packets.PUBREC, packets.PUBCOMP})
#: A PUBACK, PUBREC or PUBCOMP that says success: type, Remaining Length, Packet Identifier.
_ANSWER = struct.Struct("!BBH")
#: The first byte of a PUBREL.
_PUBREL = packets.PUBREL | 0x02

_logger = logging.getLogger("gmqtt")
log = logging.getLogger(__name__)


class BrokerClient(gmqtt.Client):  # type: ignore[misc]
    """One try and the session that may follow, on a socket that somebody else opened."""

    def __init__(
        self,
        spec: ConnectionSpec,
        protocol: str,
        *,
        max_packet_bytes: int,
        receipts: Receipts,
        on_subscribe: Callable[..., Any],
    ) -> None:
        self._outbox = Outbox(self._publish, self._blocked, self._unsent)
        self._version = version = _WIRE_VERSIONS[Protocol(protocol)]
        #: What the broker may send, and what it still owes.
        self.conversation = Conversation(version, clean_start=spec.clean_session, receipts=receipts)
        #: Retained messages come with a subscription that is new, not with every connect (5,
        #: section 3.8.3.1); 3.1.1 has no word for it.
        self._retain_handling = 1 if version == bodies.V5 and not spec.clean_session else 0
        super().__init__(
            # As bytes: gmqtt counts the characters of a text and sends its UTF-8.
            spec.client_id.encode(),
            clean_session=spec.clean_session,
            optimistic_acknowledgement=False,
            logger=_logger,
            will_message=phrases.will(spec),
            **phrases.connect_properties(spec, version, max_packet_bytes),
        )
        self._connection_state.protocol_version = version
        if not spec.clean_session:
            # A session that the broker kept may hold identifiers of messages whose exchange
            # broke off; one that is used again would be taken for the old message.
            first = secrets.randbelow(packets.MAX_PACKET_ID)
            self._package_handler.id_generator._last_used_id = first
        if spec.username:
            self.set_auth_credentials(spec.username, spec.password)
        elif spec.password and version == bodies.V5:
            self._password = spec.password.encode()
        self._never_quoted = spec.password
        self._connection_id = spec.connection_id
        #: Whether the broker has taken a message with QoS 2 as one with QoS 1.
        self._is_qos_lowered = False
        self._keepalive = spec.keepalive_s
        self.on_subscribe = on_subscribe

    async def reconnect(self, delay: bool = False) -> None:
        """Do nothing: reconnecting is decided in `core.life` alone."""

    async def disconnect(self, reason_code: int = 0, **_properties: Any) -> None:
        """Do nothing: gmqtt calls this for a CONNACK that it cannot read; see `accept`."""

    # --- the connection

    @property
    def is_open(self) -> bool:
        """Whether the socket stands."""
        return self._connection is not None and not self._connection.is_closing()

    @property
    def keepalive(self) -> int:
        """The Keep Alive in force, seconds: ours, or the broker's own (5, section 3.2.2.3.14)."""
        return int(self._connection.keepalive)

    @property
    def maximum_qos(self) -> int:
        """The highest QoS that the broker takes from us."""
        return self._outbox.allowance.maximum_qos

    async def start(
        self, transport: asyncio.Transport, reader: PacketReader, on_dead: Callable[[Cause], None]
    ) -> None:
        """Send CONNECT over `transport`, whose protocol is `reader`."""
        self._connection = KeptConnection(
            transport, reader, self._clean_session, self._keepalive, self._package_handler, _logger
        )
        self._connection.on_dead = on_dead
        self._connection.hold()
        await self._connection.auth(
            self._client_id,
            self._username,
            self._password,
            will_message=self._will_message,
            **self._connect_properties,
        )

    def accept(self, first: int, body: bytes) -> None:
        """Let gmqtt read the CONNACK that accepts us."""
        self.take(first, body)
        self._outbox.allowance = allowance.of_connack(body, self._version)
        # gmqtt takes the broker's Receive Maximum for the number of Packet Identifiers
        # and would run out of them while subscribing.
        self._package_handler.id_generator._max = packets.MAX_PACKET_ID
        # A broker that wants no pings must not keep us from noticing that it is gone.
        self._connection.keepalive = self._connection.keepalive or self._keepalive
        self._connection.keep()

    def take(self, first: int, body: bytes) -> None:
        """Let gmqtt read one packet, which the conversation has let through."""
        if first in _PUBLISH_ANSWERS:
            # gmqtt does not look at the code.
            said = answers.acknowledgement(first, body, self._version, self._never_quoted)
            is_lowered = self._outbox.acknowledged(first, _identifier(body), *said)
            if is_lowered and not self._is_qos_lowered:
                self._is_qos_lowered = True
                log.warning("connection %d: the broker takes QoS 2 as QoS 1", self._connection_id)
        if first == _PUBREL:
            self._take_release(_identifier(body))
        else:
            self._package_handler._handle_packet(first, body)

    def ignore(self, first: int, body: bytes) -> None:
        """Do without an acknowledgement that nobody waits for, but let the broker forget it."""
        if self.conversation.unasked == 1:
            self._tell_unasked()
        if answer := self.conversation.answer_unasked(first, body):
            self._connection.write(answer)

    def _tell_unasked(self) -> None:
        words = "connection %d: the broker acknowledges what was never sent (%d packets)"
        log.warning(words, self._connection_id, self.conversation.unasked)

    def _take_release(self, mid: int) -> None:
        """Answer a PUBREL, now or once `complete` is called."""
        receipts = self.conversation.receipts
        if not receipts.may_release(mid):
            # A message that we know nothing of (5, section 4.3.3).
            code = packets.PACKET_IDENTIFIER_NOT_FOUND
            self._send_command_with_mid(packets.PUBCOMP, mid, dup=False, reason_code=code)
        elif receipts.release(mid):
            self.complete([mid])

    def say_goodbye(self) -> None:
        """Write DISCONNECT and close the socket once it is out."""
        self._connection.send_disconnect()
        self._connection._keep_connection_callback.cancel()
        self._connection._transport.close()

    async def closed(self) -> None:
        """Return when the socket is closed."""
        await self._connection._protocol.closed

    def end(self) -> None:
        """Drop the socket at once; who waits for an acknowledgement hears no more."""
        if self.conversation.unasked > 1:
            self._tell_unasked()
        if self._connection is not None:
            self._connection.end()
        self._outbox.cancel()
        asyncio.get_running_loop().call_soon(self._let_go)

    def _let_go(self) -> None:
        """Open the circles in which gmqtt's objects hold each other.

        Otherwise every lost session waits in memory for the next full garbage collection.
        A message that is still being taken asks its handler for an acknowledgement later.
        """
        handler = self._package_handler
        for name, value in vars(handler).items():
            if callable(value):
                setattr(handler, name, _nothing)
        if self._connection is not None:
            self._connection.__dict__.clear()
        self.__dict__.clear()

    # --- messages in

    def acknowledge(self, messages: Iterable[InboundMessage]) -> None:
        """Write a PUBACK or PUBREC for each message (QoS 1, 2), all at once."""
        written = bytearray()
        for message in messages:
            kind = packets.PUBACK if message.qos == 1 else packets.PUBREC
            written += _ANSWER.pack(kind, 2, message.identifier)
            self.conversation.acknowledged(kind, message.identifier, 0)
        if written:
            self._connection.write(bytes(written))

    def complete(self, identifiers: Iterable[int]) -> None:
        """Write a PUBCOMP for each message that the broker has released, all at once."""
        written = bytearray()
        for identifier in identifiers:
            written += _ANSWER.pack(packets.PUBCOMP, 2, identifier)
            self.conversation.acknowledged(packets.PUBCOMP, identifier, 0)
        if written:
            self._connection.write(bytes(written))

    def pause_reading(self) -> None:
        """Read nothing more from the socket, if there is one, until `resume_reading`."""
        if self._connection is not None:
            self._connection._protocol.pause_reading()

    def resume_reading(self) -> None:
        """Read on."""
        if self._connection is not None:
            self._connection._protocol.resume_reading()

    def give_up_flawed(self) -> None:
        """See `PacketStream.give_up_flawed`."""
        self._connection._protocol.give_up_flawed()

    # --- packets out

    def subscribe_to(self, subscriptions: Sequence[SubscriptionSpec]) -> int:
        """Write one SUBSCRIBE; return its Packet Identifier."""
        handling = self._retain_handling
        wanted = [
            gmqtt.Subscription(s.topic_filter, qos=s.qos, retain_handling_options=handling)
            for s in subscriptions
        ]
        mid: int = self.subscribe(wanted)
        return mid

    def unsubscribe_from(self, topic_filters: Sequence[str]) -> None:
        """Write one UNSUBSCRIBE, whose answer nobody waits for."""
        # As bytes: gmqtt counts the characters of a text and sends its UTF-8.
        self._connection.unsubscribe([item.encode() for item in topic_filters])

    def send(self, message: OutboundMessage) -> Ack | None:
        """Publish `message`; see `Outbox.send`."""
        return self._outbox.send(message)

    def _blocked(self) -> Cause | None:
        why: Cause | None = self._connection.blocked()
        return why

    def _unsent(self) -> int:
        size: int = self._connection._transport.get_write_buffer_size()
        return size

    def _publish(self, message: OutboundMessage) -> int:
        """Write a PUBLISH; return its Packet Identifier, 0 with QoS 0."""
        mid, _ = self._connection.publish(phrases.publication(message))
        return mid or 0

    def _store_message_in_queue(self, mid: int, raw_package: bytes) -> None:
        """Keep nothing for a replay: a session that is lost is made anew."""

    def _remove_message_from_queue(self, mid: int) -> None:
        """Forget nothing: the outbox has heard of the acknowledgement in `take`."""


def _nothing(*_args: object, **_kwargs: object) -> None:
    """Do nothing for a session that is over."""


def _identifier(body: bytes) -> int:
    """Return the number of two bytes that `body` begins with, mostly a Packet Identifier."""
    return int.from_bytes(body[:2], "big")
