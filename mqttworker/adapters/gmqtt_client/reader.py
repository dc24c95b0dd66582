"""What reads in place of gmqtt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import gmqtt
from gmqtt.mqtt.protocol import MQTTProtocol

from mqttworker.adapters.gmqtt_client.password_alone import connect_packet
from mqttworker.adapters.packet_stream import PacketStream
from mqttworker.core.messages import InboundMessage

if TYPE_CHECKING:
    from mqttworker.adapters.gmqtt_client.client import BrokerClient


class PacketReader(PacketStream, MQTTProtocol):  # type: ignore[misc]
    """Reads in place of gmqtt, and tells the conversation what gmqtt writes.

    gmqtt's own stream reader and read task buffer without bound, copy quadratically, and
    go deaf for ever when a callback raises.
    """

    def __init__(
        self,
        client: BrokerClient,
        max_packet_bytes: int,
        on_error: Callable[[Exception], None],
        on_packet: Callable[[int, bytes], None],
        on_messages: Callable[[list[InboundMessage]], None],
        on_closed: Callable[[Exception | None], None],
    ) -> None:
        super().__init__(
            client.conversation,
            max_packet_bytes,
            on_error,
            on_packet,
            client.ignore,
            on_messages,
            on_closed,
        )
        # gmqtt's own constructor would make the stream reader; its senders need only these.
        self._connection_state = client._connection_state
        self.id_generator = client._package_handler.id_generator
        self._connection: Any = None
        self._closed = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)
        super().connection_lost(exc)

    async def send_auth_package(
        self,
        client_id: bytes,
        username: bytes | None,
        password: bytes | None,
        clean_session: bool,
        keepalive: int,
        **properties: Any,
    ) -> None:
        login = (clean_session, keepalive)
        if username is None and password is not None:
            packet = connect_packet(client_id, password, *login, self, **properties)
            self.write_data(packet)
        else:
            await super().send_auth_package(client_id, username, password, *login, **properties)

    def send_publish(self, message: gmqtt.Message) -> tuple[int | None, bytes]:
        mid, package = super().send_publish(message)
        if mid is not None:
            self._conversation.published(mid, message.qos)
        return mid, package

    def send_subscribe_packet(self, subscriptions: Sequence[Any], **properties: Any) -> int:
        mid: int = super().send_subscribe_packet(subscriptions, **properties)
        self._conversation.subscribed(mid, len(subscriptions))
        return mid

    def send_unsubscribe_packet(self, topics: Sequence[bytes], **properties: Any) -> int:
        mid: int = super().send_unsubscribe_packet(topics, **properties)
        self._conversation.unsubscribed(mid, len(topics))
        return mid

    def send_command_with_mid(self, cmd: int, mid: int, dup: bool, reason_code: int = 0) -> None:
        super().send_command_with_mid(cmd, mid, dup, reason_code)
        self._conversation.acknowledged(cmd, mid, reason_code)
