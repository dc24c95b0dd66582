"""One connection to the scripted broker: what came, and the means to speak or to close."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from dataclasses import dataclass, field

from tests.support import packets
from tests.support.packets import Connect, PacketType, Publish
from tests.support.scripts import Script


@dataclass(slots=True)
class Session:
    """One accepted TCP connection, as the broker saw it. Times are `time.monotonic()`."""

    socket: socket.socket
    script: Script
    opened_at: float
    connect: Connect | None = None
    connected_at: float | None = None
    closed_at: float | None = None
    #: When we last sent something.
    spoke_at: float | None = None
    #: How it ended: `disconnect` (a DISCONNECT came), `eof`, `error`, `broker` (we closed).
    ending: str | None = None
    #: Reason Code of the client's DISCONNECT.
    disconnect_code: int | None = None
    publishes: list[Publish] = field(default_factory=list)
    filters: list[tuple[str, int]] = field(default_factory=list)
    pings: int = 0
    #: Acknowledgements that the client sent: (type, Packet Identifier).
    acknowledged: list[tuple[PacketType, int]] = field(default_factory=list)
    #: Reason Code of each PUBCOMP that the client sent.
    completions: list[int] = field(default_factory=list)
    #: PUBRELs that the client sent: (Packet Identifier, Reason Code).
    releases: list[tuple[int, int]] = field(default_factory=list)

    def send(self, data: bytes) -> None:
        """Send raw bytes to the client."""
        self.socket.sendall(data)
        self.spoke_at = time.monotonic()

    def publish(self, topic: str, payload: bytes, *, qos: int = 0, packet_id: int = 1) -> None:
        """Send a PUBLISH in the client's MQTT version."""
        self.send(packets.publish(self.version, topic, payload, qos=qos, packet_id=packet_id))

    def close(self, *, reset: bool = False) -> None:
        """Close from the broker's side, with FIN or RST."""
        self.ending = self.ending or "broker"
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            # A reader blocked in recv keeps the descriptor alive; wake it without a FIN.
            self.socket.shutdown(socket.SHUT_RD)
            return
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Say the script's last words and close as it says."""
        with contextlib.suppress(OSError):
            if self.script.last_words:
                self.send(self.script.last_words)
            if self.script.half:
                self.socket.shutdown(socket.SHUT_WR)
            else:
                self.close(reset=self.script.reset)

    @property
    def version(self) -> int:
        """The client's Protocol Level."""
        assert self.connect is not None
        return self.connect.version
