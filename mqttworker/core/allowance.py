"""What a broker lets us publish on one connection, as its CONNACK says (5, section 3.2.2.3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mqttworker.core import packets
from mqttworker.core.cause import Cause, cause
from mqttworker.core.wire import bodies, properties

_RECEIVE_MAXIMUM, _MAXIMUM_QOS, _RETAIN_AVAILABLE = 0x21, 0x24, 0x25
_MAXIMUM_PACKET_SIZE = 0x27


@dataclass(frozen=True, slots=True)
class Allowance:
    """The defaults are what a broker allows that says nothing, as one of 3.1.1 does."""

    #: Most messages with QoS above 0 that may wait for their acknowledgement.
    receive_maximum: int = packets.MAX_PACKET_ID
    #: Longest packet, bytes, with its header.
    maximum_packet_size: int = packets.MAX_PACKET_SIZE
    maximum_qos: int = 2
    retain_available: bool = True
    #: Whether a PUBLISH may have properties: it is MQTT 5 that is spoken.
    properties_available: bool = True

    def refusal(
        self, topic: str, payload: bytes, qos: int, retain: bool, properties: int = 0
    ) -> Cause | None:
        """Return why this must not be published, None if it may.

        `properties` is their size in bytes, without their length.
        """
        if properties and not self.properties_available:
            return cause("properties_not_supported")
        size = packet_size(topic, payload, qos, properties)
        if size > self.maximum_packet_size:
            return cause("packet_too_large", bytes=size, limit=self.maximum_packet_size)
        if qos > self.maximum_qos:
            return cause("qos_not_supported")
        if retain and not self.retain_available:
            return cause("retain_not_supported")
        return None


def of_connack(body: bytes, version: int) -> Allowance:
    """Return what the CONNACK allows that accepts us and was found well-formed."""
    if version != bodies.V5:
        return Allowance(properties_available=False)
    found, _ = properties.read(body, 2, packets.CONNACK)

    def said(identifier: int, otherwise: Any) -> Any:
        return found.get(identifier, [otherwise])[0]

    return Allowance(
        said(_RECEIVE_MAXIMUM, packets.MAX_PACKET_ID),
        said(_MAXIMUM_PACKET_SIZE, packets.MAX_PACKET_SIZE),
        said(_MAXIMUM_QOS, 2),
        bool(said(_RETAIN_AVAILABLE, 1)),
    )


def packet_size(topic: str, payload: bytes, qos: int, properties: int = 0) -> int:
    """Return how long a PUBLISH of ours is in MQTT 5, bytes."""
    rest = 2 + len(topic.encode()) + (2 if qos else 0)
    rest += _digits(properties) + properties + len(payload)
    return 1 + _digits(rest) + rest


def _digits(number: int) -> int:
    """Return how long `number` is as a Variable Byte Integer (5, section 1.5.5)."""
    return max(1, -(-number.bit_length() // 7))
