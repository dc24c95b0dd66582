"""The bytes of one network connection: cut into packets, judged, and held in bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from mqttworker.core import foreign_protocol, packets
from mqttworker.core.conformance import Conversation
from mqttworker.core.foreign_protocol import ForeignProtocolError
from mqttworker.core.messages import InboundMessage
from mqttworker.core.wire import bodies

#: While more than this waits to be written nothing new is taken on, bytes.
WRITE_LIMIT = 1_048_576

#: Bytes taken from the socket at once: some hundreds of small messages.
READ_SIZE = 65_536

#: What MQTT 5 says where the fault is not the broker's (section 3.14.2.1).
_IMPLEMENTATION_SPECIFIC_ERROR = 0x83


class PacketStream(asyncio.Protocol):
    """Cuts the byte stream into packets, looking at each length before buffering.

    `on_messages` gets the PUBLISHes of one read that came in a row, `on_packet` (first byte,
    body) of each other packet that fits the `conversation`, `on_unasked` the same of an
    acknowledgement that nobody waits for; `on_error` what makes the stream unusable, once;
    `on_closed` the socket's error or None.
    """

    def __init__(
        self,
        conversation: Conversation,
        max_packet_bytes: int,
        on_error: Callable[[Exception], None],
        on_packet: Callable[[int, bytes], None],
        on_unasked: Callable[[int, bytes], None],
        on_messages: Callable[[list[InboundMessage]], None],
        on_closed: Callable[[Exception | None], None],
    ) -> None:
        self._conversation = conversation
        self._max_packet_bytes = max_packet_bytes
        self._on_error = on_error
        self._on_packet = on_packet
        self._on_unasked = on_unasked
        self._on_messages = on_messages
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._is_broken = False
        #: The first message that is no message; see `give_up_flawed`.
        self._flaw: Exception | None = None
        #: Reading stands still because we cannot take more.
        self.is_paused = False
        self.heard_at = time.monotonic()
        #: Since when more than WRITE_LIMIT bytes wait to be written; None if they do not.
        self.blocked_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_LIMIT)
        # What one connection may keep the hub busy with before others have their turn.
        transport.max_size = READ_SIZE  # type: ignore[attr-defined]

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_closed(exc)

    def eof_received(self) -> bool:
        return False

    # --- out

    def pause_writing(self) -> None:
        self.blocked_since = time.monotonic()

    def resume_writing(self) -> None:
        self.blocked_since = None

    # --- in

    def pause_reading(self) -> None:
        """Let the broker keep what it sends until `resume_reading`."""
        if self._transport is not None and not self.is_paused and not self._transport.is_closing():
            self.is_paused = True
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Read on. Nothing could be heard meanwhile, so the broker is not held to that."""
        if self._transport is not None and self.is_paused:
            self.is_paused = False
            self.heard_at = time.monotonic()
            self._transport.resume_reading()

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        if self._is_broken:
            return
        stream: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            stream = self._buffer
        try:
            if not self._conversation.is_accepted:
                foreign_protocol.check_beginning(stream)
            used = self._cut(stream)
        except Exception as error:  # noqa: BLE001 - after any of them we would be deaf
            self._give_up(error)
            return
        if stream is self._buffer:
            del self._buffer[:used]
        elif used < len(data):
            self._buffer += data[used:]

    def _cut(self, stream: bytes | bytearray) -> int:
        """Hand on every whole packet in `stream`; return how many bytes they take."""
        assert self._transport is not None
        is_closing = self._transport.is_closing
        at, size = 0, len(stream)
        messages: list[InboundMessage] = []
        try:
            while not is_closing():
                frame = packets.next_frame(stream, at, self._max_packet_bytes)
                if frame is None or frame.end > size:
                    break
                first, start, at = frame
                body = bytes(stream[start:at])
                if first & 0xF0 == packets.PUBLISH:
                    self._take_message(first, body, messages)
                else:
                    messages = self._hand_on(messages)
                    is_due = self._conversation.receive(first, body)
                    (self._on_packet if is_due else self._on_unasked)(first, body)
        finally:
            # Also what came whole before the packet that breaks the stream.
            self._hand_on(messages)
        return at

    def _take_message(self, first: int, body: bytes, messages: list[InboundMessage]) -> None:
        try:
            messages.append(self._conversation.receive_message(first, body))
        except bodies.IllegalTopicError as error:
            # It ends the connection, but not before it is put aside and acknowledged: a
            # broker would send it again to every session, before all that comes after it.
            self._flaw = self._flaw or error
            messages.append(error.message)

    def _hand_on(self, messages: list[InboundMessage]) -> list[InboundMessage]:
        """Hand on what came in a row; return where to gather what comes next."""
        if messages:
            self._on_messages(messages)
        return []

    def give_up_flawed(self) -> None:
        """End the connection on which an illegal Topic Name came, once that is put aside."""
        if self._flaw is not None and not self._is_broken:
            self._give_up(self._flaw)

    def _give_up(self, error: Exception) -> None:
        """Say why, as far as that goes out at once, and listen no more."""
        self._is_broken = True
        self._buffer.clear()
        if self._conversation.may_say_why and not isinstance(error, ForeignProtocolError):
            code = getattr(error, "code", _IMPLEMENTATION_SPECIFIC_ERROR)
            assert self._transport is not None
            self._transport.write(bytes([packets.DISCONNECT, 1, code]))
        self._on_error(error)
