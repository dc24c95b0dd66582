"""A received message, as it is handed from floor to floor."""

from __future__ import annotations

from typing import NamedTuple


class InboundMessage(NamedTuple):
    """A received PUBLISH. A plain tuple: there may be 50,000 of them a second."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    dup: bool
    #: Packet Identifier, 0 with QoS 0.
    identifier: int = 0
    #: MQTT 5 properties as they came, without their length; see `core.wire.properties`.
    properties: bytes = b""
    #: What no database can take of it, one sentence; empty for almost every message.
    flaw: str = ""
