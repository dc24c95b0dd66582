"""Answers a client of another MQTT version in the words of MQTT 3.1.1.

The library reads the payload of an MQTT 5 CONNECT at the wrong place and may then wait
for ever. This looks at the protocol level first and refuses with return code 1.
"""

from __future__ import annotations

import asyncio
import contextlib
from asyncio import StreamReader, StreamWriter

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker

#: Protocol level of MQTT 3.1.1.
SUPPORTED_LEVEL = 4
#: CONNACK with return code 1, unacceptable protocol version.
UNACCEPTABLE_VERSION = b"\x20\x02\x00\x01"
#: Seconds a client may take to send the start of its CONNECT.
PATIENCE = 10.0


class GatedBroker(Broker):  # type: ignore[misc]
    """The library's broker behind the gate."""

    async def stream_connected(
        self, reader: StreamReader, writer: StreamWriter, listener_name: str
    ) -> None:
        """Serve one TCP connection."""
        try:
            start = await asyncio.wait_for(_start_of_connect(reader), PATIENCE)
        except (OSError, EOFError, TimeoutError):
            writer.close()
            return
        if start[-1] == SUPPORTED_LEVEL:
            rest = Rest(start, reader)
            await self._client_connected(listener_name, rest, StreamWriterAdapter(writer))
            return
        writer.write(UNACCEPTABLE_VERSION)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


class Rest(StreamReaderAdapter):  # type: ignore[misc]
    """A stream whose first bytes have been read already and come first once more."""

    def __init__(self, start: bytes, reader: StreamReader) -> None:
        super().__init__(reader)
        self._start = start

    async def read(self, n: int = -1) -> bytes:
        """Return exactly `n` bytes, or with -1 all that comes."""
        if not self._start:
            return bytes(await super().read(n))
        head, self._start = (self._start, b"") if n == -1 else (self._start[:n], self._start[n:])
        missing = -1 if n == -1 else n - len(head)
        return head + (bytes(await super().read(missing)) if missing else b"")


async def _start_of_connect(reader: StreamReader) -> bytes:
    """Return the bytes up to and with the protocol level. Raises EOFError."""
    start = await reader.readexactly(2)
    while start[-1] & 0x80 and len(start) < 5:
        start += await reader.readexactly(1)
    start += await reader.readexactly(2)
    name_length = int.from_bytes(start[-2:])
    return start + await reader.readexactly(name_length + 1)
