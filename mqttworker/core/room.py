"""How much may wait to be stored: one room for all connections, shared fairly.

A connection may fill at most as much as is still free (Choudhury and Hahne's dynamic
threshold): one that floods leaves half of the room to the others, and two leave a third.
"""

from __future__ import annotations

from dataclasses import dataclass

from mqttworker.core.messages import InboundMessage

#: Memory that a waiting message takes beside its topic and payload, bytes.
OVERHEAD = 400


def size_of(message: InboundMessage) -> int:
    """Return the memory that `message` takes while it waits, bytes."""
    return OVERHEAD + len(message.topic) + len(message.payload) + len(message.properties)


@dataclass(slots=True)
class Load:
    """What waits, of one connection or of all."""

    messages: int = 0
    bytes: int = 0

    def add(self, messages: int, size: int) -> None:
        """Put something to it; take it away with negative numbers."""
        self.messages += messages
        self.bytes += size


@dataclass(frozen=True, slots=True)
class Room:
    """The bounds of what may wait."""

    messages: int
    bytes: int

    def is_enough(self, own: Load, whole: Load, share: float = 1.0) -> bool:
        """Whether a connection with `own` waiting may have more wait, of `whole` by all.

        With a `share` below 1 it must stay below that much of what is free.
        """
        return own.bytes <= share * (self.bytes - whole.bytes) and own.messages <= share * (
            self.messages - whole.messages
        )
