"""What all sessions of a worker share."""

from __future__ import annotations

from dataclasses import dataclass, field

from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.port_check import PortCheck
from mqttworker.adapters.tls import ContextCache
from mqttworker.adapters.turns import Turns


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The neighbours of a session."""

    hub_loop: HubLoop
    turns: Turns
    contexts: ContextCache
    #: Longest packet that is accepted, bytes.
    max_packet_bytes: int
    ports: PortCheck = field(default_factory=PortCheck)
