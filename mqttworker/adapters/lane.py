"""Messages that wait for their turn, in order and within bounds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mqttworker.adapters.packet_stream import WRITE_LIMIT
from mqttworker.core.cause import Cause, cause
from mqttworker.ports.transport import Acknowledgement, OutboundMessage

#: Messages that may wait for one broker, beside the bound of WRITE_LIMIT bytes.
MAX_WAITING = 1_000

#: Resolves with the broker's acknowledgement, or with why there is none.
Ack = asyncio.Future[Acknowledgement | Cause]


@dataclass(eq=False, slots=True)
class Parcel:
    """A message with QoS 1 or 2, and whom to tell what became of it."""

    message: OutboundMessage
    #: Of its packet, bytes.
    size: int
    ack: Ack
    #: When it was written, monotonic seconds.
    written_at: float | None = None
    timer: asyncio.TimerHandle | None = None

    def tell(self, outcome: Acknowledgement | Cause) -> None:
        """Resolve `ack`, once."""
        if self.timer is not None:
            self.timer.cancel()
        if not self.ack.done():
            self.ack.set_result(outcome)


class Lane:
    """A queue that is bounded in messages and bytes."""

    def __init__(self) -> None:
        self._parcels: deque[Parcel] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._parcels)

    def __iter__(self) -> Iterator[Parcel]:
        return iter(self._parcels)

    @property
    def is_full(self) -> bool:
        """Whether nothing more may be added."""
        return len(self._parcels) >= MAX_WAITING or self._bytes > WRITE_LIMIT

    def why(self, **detail: Any) -> Cause:
        """Return why a message is not sent that waits here, or would have to."""
        return cause(
            "outbound_queue_full", messages=len(self._parcels), bytes=self._bytes, **detail
        )

    def add(self, parcel: Parcel) -> None:
        """Put `parcel` behind the others."""
        self._parcels.append(parcel)
        self._bytes += parcel.size

    def next(self) -> Parcel:
        """Take out the parcel that has waited longest."""
        parcel = self._parcels.popleft()
        self._bytes -= parcel.size
        return parcel

    def remove(self, parcel: Parcel) -> None:
        """Take out `parcel`, which waits here."""
        self._parcels.remove(parcel)
        self._bytes -= parcel.size
