"""Messages of one session: which are new, which wait for their acknowledgement."""

from __future__ import annotations

from collections.abc import Sequence

from mqttworker.adapters.gmqtt_client import BrokerClient
from mqttworker.core.messages import InboundMessage
from mqttworker.core.receipts import Receipts
from mqttworker.ports.transport import Receive


class Receiving:
    """Hands messages on to `receive`, once each, and acknowledges what was made safe."""

    def __init__(self, receipts: Receipts, receive: Receive) -> None:
        self.receipts = receipts
        self._receive = receive

    def take(self, client: BrokerClient, messages: Sequence[InboundMessage]) -> None:
        """Hand on what is new; what has been made safe before is acknowledged again."""
        is_new = self.receipts.is_new
        new = [message for message in messages if not message.qos or is_new(message)]
        if len(new) < len(messages):
            known = {id(message) for message in new}
            repeats = (message for message in messages if id(message) not in known)
            client.acknowledge(
                message for message in repeats if self.receipts.is_committed(message.identifier)
            )
        if new:
            self.acknowledge(client, self._receive(new))
        if any(message.flaw and not message.qos for message in new):
            client.give_up_flawed()

    def acknowledge(self, client: BrokerClient | None, messages: Sequence[InboundMessage]) -> None:
        """Take note that `messages` are safe, and tell the broker, if there is a `client`."""
        # Before its CONNACK nobody knows whether the broker has kept the session.
        is_open = client is not None and client.is_open and client.conversation.is_accepted
        committed = self.receipts.committed
        due = [item for item in messages if item.qos and committed(item, is_open=is_open)]
        if client is None or not due or not client.is_open:
            return
        client.acknowledge(due)
        if any(message.flaw for message in due):
            client.give_up_flawed()

    def complete(self, client: BrokerClient | None, identifiers: Sequence[int]) -> None:
        """Send the PUBCOMPs of releases that are written down, where the broker waits for them."""
        due = self.receipts.completed(identifiers)
        if client is not None and client.is_open:
            client.complete(due)

    def unsubscribe_others(self, client: BrokerClient, wanted: set[str]) -> None:
        """Take out of a session that the broker kept what is not asked for any more."""
        kept = self.receipts.topic_filters if client.conversation.session_present else frozenset()
        if unwanted := kept - wanted:
            client.unsubscribe_from(sorted(unwanted))
        self.receipts.topic_filters = kept | wanted
