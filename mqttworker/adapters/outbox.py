"""Messages on their way out: as many at once as the broker takes, our own before others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from mqttworker.adapters.lane import Ack, Lane, Parcel
from mqttworker.core import answers, packets
from mqttworker.core.allowance import Allowance, packet_size
from mqttworker.core.cause import Cause, cause
from mqttworker.ports.transport import (
    Acknowledged,
    Acknowledgement,
    Heard,
    OutboundMessage,
    ignore,
)

#: Messages of others that are under way at once, and their bytes, beside one message more.
#: Far below what blocks the socket: status, name and ping are not to wait behind them.
OTHERS_AT_ONCE, OTHERS_BYTES = 100, 262_144

#: Reason Codes from here on refuse a PUBLISH (5, section 3.4.2.1).
_REFUSED = 0x80


class NotSentError(OSError):
    """A PUBLISH cannot be written now; `why` says what is in the way."""

    def __init__(self, why: Cause) -> None:
        super().__init__(str(why))
        self.why = why


class Outbox:
    """Keeps to what the broker allows.

    `write` writes a PUBLISH and returns its Packet Identifier; `blocked` tells why the
    socket takes nothing, None if it does; `unsent` how many bytes wait in it.
    """

    def __init__(
        self,
        write: Callable[[OutboundMessage], int],
        blocked: Callable[[], Cause | None],
        unsent: Callable[[], int],
    ) -> None:
        self.allowance = Allowance()
        self._write = write
        self._blocked = blocked
        self._unsent = unsent
        #: What has been written and not acknowledged, by Packet Identifier.
        self._under_way: dict[int, Parcel] = {}
        #: What the PUBREC said of messages whose PUBCOMP has not come.
        self._recorded: dict[int, tuple[int | None, str]] = {}
        #: What follows when the broker has acknowledged something.
        self._own, self._others = Lane(), Lane()
        self._others_bytes = 0

    def send(self, message: OutboundMessage) -> Ack | None:
        """Write `message`, or keep it while the broker takes no more (5, section 4.9).

        Returns what resolves when more is known of it (QoS > 0). Raises NotSentError.
        """
        size = self._check(message)
        if not message.qos:
            self._write(message)
            return None
        loop = asyncio.get_running_loop()
        parcel = Parcel(message, size, loop.create_future())
        self._lane(message).add(parcel)
        self._fill()
        if parcel.written_at is None and message.patience_s is not None:
            parcel.timer = loop.call_later(message.patience_s, self._give_up, parcel)
        return parcel.ack

    def acknowledged(self, kind: int, identifier: int, code: int | None, said: str) -> bool:
        """Take note of a PUBACK, PUBREC or PUBCOMP, and let the next message follow.

        A QoS 2 message is under way until its PUBCOMP, or a PUBREC that refuses it, or a
        PUBACK: whether it was that, from a broker that has no QoS 2, is returned.
        """
        refuses = code is not None and code >= _REFUSED
        if kind == packets.PUBREC and not refuses:
            self._recorded[identifier] = (code, said)
            return False
        recorded = self._recorded.pop(identifier, None)
        if recorded is not None and not refuses:
            code, said = recorded
        parcel = self._under_way.pop(identifier, None)
        is_lowered = False
        if parcel is not None and parcel.written_at is not None:
            self._count(parcel, -1)
            is_lowered = parcel.message.qos == 2 and kind == packets.PUBACK
            took = time.monotonic() - parcel.written_at
            parcel.tell(Acknowledgement(code, said, took, is_lowered))
        self._fill()
        return is_lowered

    def cancel(self) -> None:
        """Tell everybody who waits that nothing more comes."""
        for parcel in self._under_way.values():
            parcel.tell(cause("not_connected", written=True))
        for parcel in (*self._own, *self._others):
            parcel.tell(cause("not_connected"))

    def _lane(self, message: OutboundMessage) -> Lane:
        return self._own if message.patience_s is None else self._others

    def _check(self, message: OutboundMessage) -> int:
        """Return the size of the packet; NotSentError if we or the broker cannot take it now."""
        properties = message.properties.size
        why = self._blocked() or self.allowance.refusal(
            message.topic, message.payload, message.qos, message.retain, properties
        )
        if why is None and self._is_crowded(message):
            why = self._lane(message).why()
        if why is not None:
            raise NotSentError(why)
        return packet_size(message.topic, message.payload, message.qos, properties)

    def _is_crowded(self, message: OutboundMessage) -> bool:
        if message.qos:
            return self._lane(message).is_full
        return message.patience_s is not None and self._unsent() > OTHERS_BYTES

    def _fill(self) -> None:
        """Write what may be written: our own, then others."""
        while self._own and len(self._under_way) < self.allowance.receive_maximum:
            self._post(self._own.next())
        while self._others and not self._own and self._has_room_for_others:
            self._post(self._others.next())

    @property
    def _has_room_for_others(self) -> bool:
        # One place is kept free for our own, where there is more than one.
        window = max(1, min(self.allowance.receive_maximum - 1, OTHERS_AT_ONCE))
        return len(self._under_way) < window and self._others_bytes <= OTHERS_BYTES

    def _post(self, parcel: Parcel) -> None:
        parcel.written_at = time.monotonic()
        if parcel.timer is not None:
            parcel.timer.cancel()
        self._count(parcel, 1)
        self._under_way[self._write(parcel.message)] = parcel

    def _count(self, parcel: Parcel, sign: int) -> None:
        if parcel.message.patience_s is not None:
            self._others_bytes += sign * parcel.size

    def _give_up(self, parcel: Parcel) -> None:
        """Do not send a message that has waited too long: it would come as a surprise."""
        self._others.remove(parcel)
        assert parcel.message.patience_s is not None
        parcel.tell(self._others.why(seconds=parcel.message.patience_s))


def tell(ack: Ack | None, done: Acknowledged, heard: Heard = ignore) -> None:
    """Let `done` know what becomes of a message for which `Outbox.send` returned `ack`.

    `heard` hears the acknowledgement itself before, if there is one.
    """
    if ack is None:
        done(None)
    else:
        ack.add_done_callback(lambda ack: _pass_on(ack.result(), done, heard))


def _pass_on(outcome: Acknowledgement | Cause, done: Acknowledged, heard: Heard) -> None:
    if isinstance(outcome, Cause):
        done(outcome)
        return
    heard(outcome)
    refuses = outcome.code is not None and outcome.code >= _REFUSED
    done(answers.publish_cause(outcome.code or 0) if refuses else None)
