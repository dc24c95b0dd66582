"""Messages on their way out: as many at once as the broker takes, the others in order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from mqttworker.adapters.packet_stream import WRITE_LIMIT
from mqttworker.core import answers
from mqttworker.core.allowance import Allowance
from mqttworker.core.cause import Cause, cause
from mqttworker.ports.transport import Acknowledged, OutboundMessage

#: Resolves with the reason code of the acknowledgement.
Ack = asyncio.Future[int]


class NotSentError(OSError):
    """A PUBLISH cannot be written now; `why` says what is in the way."""

    def __init__(self, why: Cause) -> None:
        super().__init__(str(why))
        self.why = why


class Outbox:
    """Keeps to what the broker allows.

    `write` writes a PUBLISH and returns its Packet Identifier; `blocked` tells why the
    socket takes nothing, None if it does.
    """

    def __init__(
        self, write: Callable[[OutboundMessage], int], blocked: Callable[[], Cause | None]
    ) -> None:
        self.allowance = Allowance()
        self._write = write
        self._blocked = blocked
        #: What has been written and not acknowledged, by Packet Identifier.
        self._acks: dict[int, Ack] = {}
        #: What follows when the broker has acknowledged something.
        self._waiting: deque[tuple[OutboundMessage, Ack]] = deque()
        self._waiting_bytes = 0

    def send(self, message: OutboundMessage) -> Ack | None:
        """Write `message`, or keep it while the broker takes no more (5, section 4.9).

        Returns what resolves with its reason code (QoS > 0); that is cancelled if the
        session ends before. Raises NotSentError.
        """
        self._check(message)
        if not message.qos:
            self._write(message)
            return None
        ack: Ack = asyncio.get_running_loop().create_future()
        if self._waiting or self._is_full:
            self._waiting.append((message, ack))
            self._waiting_bytes += len(message.payload)
        else:
            self._acks[self._write(message)] = ack
        return ack

    @property
    def _is_full(self) -> bool:
        return len(self._acks) >= self.allowance.receive_maximum

    def _check(self, message: OutboundMessage) -> None:
        """Raise NotSentError if neither we nor the broker can take `message` now."""
        why = self._blocked() or self.allowance.refusal(
            message.topic, message.payload, message.qos, message.retain
        )
        if why is None and message.qos and self._waiting_bytes > WRITE_LIMIT:
            why = cause("receive_maximum_exceeded")
        if why is not None:
            raise NotSentError(why)

    def acknowledged(self, identifier: int, code: int) -> None:
        """Tell who waits for this acknowledgement, and let the next message follow."""
        ack = self._acks.pop(identifier, None)
        if ack is not None and not ack.done():
            ack.set_result(code)
        while self._waiting and not self._is_full:
            message, ack = self._waiting.popleft()
            self._waiting_bytes -= len(message.payload)
            self._acks[self._write(message)] = ack

    def cancel(self) -> None:
        """Tell everybody who waits that nothing more comes."""
        for ack in (*self._acks.values(), *(ack for _, ack in self._waiting)):
            ack.cancel()


def tell(ack: Ack | None, done: Acknowledged) -> None:
    """Let `done` know what becomes of a message for which `Outbox.send` returned `ack`."""
    if ack is None:
        done(None)
    else:
        ack.add_done_callback(lambda ack: done(_refusal(ack)))


def _refusal(ack: Ack) -> Cause | None:
    """Return why a PUBLISH was not taken, None if it was."""
    if ack.cancelled():
        return cause("not_connected")
    code = ack.result()
    return answers.publish_cause(code) if code else None
