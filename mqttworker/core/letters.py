"""A message on its way into the database."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from mqttworker.core.messages import InboundMessage


class Letter(NamedTuple):
    """A message with the connection that received it, and when (UTC)."""

    connection_id: int
    received_at: datetime
    message: InboundMessage
