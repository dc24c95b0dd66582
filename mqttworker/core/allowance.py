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

    def refusal(self, topic: str, payload: bytes, qos: int, retain: bool) -> Cause | None:
        """Return why this must not be published, None if it may."""
        size = _size(len(topic.encode()), len(payload), qos)
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
        return Allowance()
    found, _ = properties.read(body, 2, packets.CONNACK)

    def said(identifier: int, otherwise: Any) -> Any:
        return found.get(identifier, [otherwise])[0]

    return Allowance(
        said(_RECEIVE_MAXIMUM, packets.MAX_PACKET_ID),
        said(_MAXIMUM_PACKET_SIZE, packets.MAX_PACKET_SIZE),
        said(_MAXIMUM_QOS, 2),
        bool(said(_RETAIN_AVAILABLE, 1)),
    )


def _size(topic: int, payload: int, qos: int) -> int:
    """Return how long a PUBLISH of ours is, without properties but for their length."""
    rest = 2 + topic + (2 if qos else 0) + 1 + payload
    digits = max(1, -(-rest.bit_length() // 7))
    return 1 + digits + rest
