"""The bytes of one network connection: cut into packets, judged, and held in bounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from mqttworker.core import packets
from mqttworker.core.conformance import Conversation

#: While more than this waits to be written nothing new is taken on, bytes.
WRITE_LIMIT = 1_048_576

#: What MQTT 5 says where the fault is not the broker's (section 3.14.2.1).
_IMPLEMENTATION_SPECIFIC_ERROR = 0x83


class PacketStream(asyncio.Protocol):
    """Cuts the byte stream into packets, looking at each length before buffering.

    `on_packet` gets (first byte, body) of each packet that fits the `conversation`;
    `on_error` what makes the stream unusable, once; `on_closed` the socket's error or None.
    """

    def __init__(
        self,
        conversation: Conversation,
        max_packet_bytes: int,
        on_error: Callable[[Exception], None],
        on_packet: Callable[[int, bytes], None],
        on_closed: Callable[[Exception | None], None],
    ) -> None:
        self._conversation = conversation
        self._max_packet_bytes = max_packet_bytes
        self._on_error = on_error
        self._on_packet = on_packet
        self._on_closed = on_closed
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._is_broken = False
        self.heard_at = time.monotonic()
        #: Since when more than WRITE_LIMIT bytes wait to be written; None if they do not.
        self.blocked_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_LIMIT)

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

    def data_received(self, data: bytes) -> None:
        self.heard_at = time.monotonic()
        if self._is_broken:
            return
        stream: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            stream = self._buffer
        try:
            used = self._cut(stream)
        except Exception as error:  # noqa: BLE001 - after any of them we would be deaf
            self._give_up(self._understood(error, stream))
            return
        if stream is self._buffer:
            del self._buffer[:used]
        elif used < len(data):
            self._buffer += data[used:]

    def _cut(self, stream: bytes | bytearray) -> int:
        """Hand on every whole packet in `stream`; return how many bytes they take."""
        assert self._transport is not None
        is_closing, receive = self._transport.is_closing, self._conversation.receive
        at, size = 0, len(stream)
        while not is_closing():
            frame = packets.next_frame(stream, at, self._max_packet_bytes)
            if frame is None or frame.end > size:
                break
            first, start, at = frame
            body = bytes(stream[start:at])
            receive(first, body)
            self._on_packet(first, body)
        return at

    def _understood(self, error: Exception, stream: bytes | bytearray) -> Exception:
        """Return `error`, or what explains it better."""
        if not self._conversation.is_accepted and packets.speaks_tls(stream):
            return packets.TLSSpokenError("TLS in place of the CONNACK")
        return error

    def _give_up(self, error: Exception) -> None:
        """Say why, as far as that goes out at once, and listen no more."""
        self._is_broken = True
        self._buffer.clear()
        if self._conversation.may_say_why and not isinstance(error, packets.TLSSpokenError):
            code = getattr(error, "code", _IMPLEMENTATION_SPECIFIC_ERROR)
            assert self._transport is not None
            self._transport.write(bytes([packets.DISCONNECT, 1, code]))
        self._on_error(error)
