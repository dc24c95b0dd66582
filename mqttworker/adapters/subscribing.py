"""SUBSCRIBEs under way: which Topic Filters wait for their SUBACK, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence

from mqttworker.adapters.gmqtt_client import BrokerClient
from mqttworker.core import packets
from mqttworker.core.spec import SubscriptionSpec

#: Topic Filters in one SUBSCRIBE; some brokers take no more.
FILTERS_PER_SUBSCRIBE = 8
#: SUBACK codes from here on refuse (5, section 3.9.3).
SUBACK_FAILURE = 0x80


class Subscribing:
    """What one session subscribes to, and what the broker answers."""

    def __init__(self) -> None:
        #: SUBACK codes of the Topic Filters that the broker refused.
        self.refused: dict[str, int] = {}
        #: Topic Filters of each SUBSCRIBE that waits for its SUBACK, by Packet Identifier.
        self._unanswered: dict[int, tuple[SubscriptionSpec, ...]] = {}
        #: SUBACK codes of our own topics that the broker refused.
        self.refused_own: dict[str, int] = {}
        #: Packet Identifier of the SUBSCRIBE to our own topics, and these.
        self._watch_mid: int | None = None
        self._watched: Sequence[str] = ()

    @property
    def is_unanswered(self) -> bool:
        """Whether the broker still owes a SUBACK for what the record subscribes to."""
        return bool(self._unanswered)

    def ask(self, client: BrokerClient, subscriptions: tuple[SubscriptionSpec, ...]) -> None:
        """Write the SUBSCRIBEs for `subscriptions`."""
        for start in range(0, len(subscriptions), FILTERS_PER_SUBSCRIBE):
            batch = subscriptions[start : start + FILTERS_PER_SUBSCRIBE]
            self._unanswered[client.subscribe_to(batch)] = batch

    def watch(self, client: BrokerClient, topics: Sequence[str]) -> None:
        """Write the SUBSCRIBE to our own topics, whose SUBACK nobody waits for."""
        self._watched = topics
        self._watch_mid = client.subscribe_to([SubscriptionSpec(topic, qos=0) for topic in topics])

    def take(self, mid: int, codes: Sequence[int]) -> bool:
        """Note a SUBACK; return whether it was waited for.

        Raises MalformedPacketError if it does not fit its SUBSCRIBE.
        """
        if mid == self._watch_mid:
            codes_of = zip(self._watched, codes, strict=True)
            self.refused_own = {topic: code for topic, code in codes_of if code >= SUBACK_FAILURE}
            return False
        batch = self._unanswered.pop(mid, ())
        if len(batch) != len(codes) or not batch:
            msg = f"a SUBACK for {len(codes)} Topic Filters that does not fit its SUBSCRIBE"
            raise packets.MalformedPacketError(msg)
        for subscription, code in zip(batch, codes, strict=True):
            if code >= SUBACK_FAILURE:
                self.refused[subscription.topic_filter] = code
        return True
