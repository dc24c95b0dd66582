"""The only room that touches gmqtt and its private parts (0.8.0, pinned).

gmqtt builds the packets, reads those that are no PUBLISH, and keeps the packet identifiers.
Everything that decides about the life of a connection is here instead: when to give up,
when the broker is dead, what ends a session. A fresh client serves every try, and nothing
of gmqtt's own reconnecting is left.
"""

import logging

from mqttworker.adapters.gmqtt_client.client import BrokerClient
from mqttworker.adapters.gmqtt_client.connection import DEAD_AFTER, DEAD_SLACK
from mqttworker.adapters.gmqtt_client.reader import PacketReader

__all__ = ["DEAD_AFTER", "DEAD_SLACK", "BrokerClient", "PacketReader"]

# gmqtt reports every lost connection with a traceback, and payloads at DEBUG; the
# service logs one line a transition instead.
logging.getLogger("gmqtt").setLevel(logging.CRITICAL + 1)
