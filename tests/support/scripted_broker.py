"""A broker that misbehaves on demand and remembers what clients did to it.

It behaves well by default (CONNACK, SUBACK, PUBACK, PINGRESP; it forwards nothing).
A `Script` says what is different for the connections that are accepted while it is set;
`tests.support.scripts` names the usual ones.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Self

from tests.support import packet_reader, packets
from tests.support.packets import Connect, Packet, PacketType, Publish
from tests.support.process import HOST, free_port
from tests.support.scripted_session import Session
from tests.support.scripts import GOOD, Script

WAIT_TIMEOUT = 10.0  # seconds


class ScriptedBroker:
    """A listener on a free loopback port with one thread a connection."""

    host = HOST

    def __init__(self, script: Script = GOOD, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        #: For connections accepted from now on.
        self.script = script
        #: Used up first, one a connection.
        self.next_scripts: deque[Script] = deque()
        self.sessions: list[Session] = []
        #: Most TCP connections that were ever open at once.
        self.most_open = 0
        self._tls = tls
        self._changed = threading.Condition()
        self._threads: list[threading.Thread] = []
        self._closing = False
        self._listener = socket.create_server((HOST, self.port), backlog=512)
        self._start(self._accept)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in self.sessions:
            session.close()
        for thread in self._threads:
            thread.join(WAIT_TIMEOUT)

    @property
    def connects(self) -> list[Connect]:
        """Every CONNECT that came, in order."""
        return [session.connect for session in list(self.sessions) if session.connect]

    @property
    def open_now(self) -> int:
        """How many TCP connections are open."""
        return sum(session.closed_at is None for session in list(self.sessions))

    def wait(self, condition: Callable[[], object], seconds: float = WAIT_TIMEOUT) -> None:
        """Wait until `condition()`, looked at whenever something arrives. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                msg = f"not within {seconds:g} s; sessions: {self.sessions}"
                raise TimeoutError(msg)

    def wait_for_connects(self, count: int, seconds: float = WAIT_TIMEOUT) -> list[Connect]:
        """Wait until `count` CONNECTs came and return all of them."""
        self.wait(lambda: len(self.connects) >= count, seconds)
        return self.connects

    # --- one connection ---------------------------------------------------------------

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            script = self.next_scripts.popleft() if self.next_scripts else self.script
            self._start(self._serve, accepted, script)

    def _serve(self, accepted: socket.socket, script: Script) -> None:
        session = Session(accepted, script, time.monotonic())
        with self._changed:
            self.sessions.append(session)
            self.most_open = max(self.most_open, self.open_now)
            self._changed.notify_all()
        try:
            self._wrap(session)
            self._converse(session)
        except EOFError:
            session.ending = session.ending or "eof"
        except (OSError, ValueError):
            session.ending = session.ending or "error"
        finally:
            session.socket.close()
            with self._changed:
                session.closed_at = time.monotonic()
                self._changed.notify_all()

    def _wrap(self, session: Session) -> None:
        session.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None and not session.script.silent:
            session.socket = self._tls.wrap_socket(session.socket, server_side=True)

    def _converse(self, session: Session) -> None:
        if session.script.silent:
            while session.socket.recv(65_536):
                pass
            raise EOFError
        if not self._greet(session):
            session.close(reset=session.script.reset)
            return
        if session.script.close_after is not None:
            self._start(self._close_later, session)
        # Reading goes on while a delayed CONNACK waits, so that a client that gives up is seen.
        while True:
            self._answer(session, packet_reader.read_packet(lambda n: _exactly(session.socket, n)))

    def _greet(self, session: Session) -> bool:
        """Answer the CONNECT; False if the connection is to be closed now."""
        script = session.script
        first = packet_reader.read_packet(lambda n: _exactly(session.socket, n))
        with self._changed:
            session.connect = packet_reader.parse_connect(first.body)
            session.connected_at = time.monotonic()
            self._changed.notify_all()
        if script.close_before_connack:
            return False
        if script.instead_of_connack is not None:
            session.send(script.instead_of_connack)
            return True
        if script.connack is not None:
            reply = packets.connack(session.version, script.connack, script.connack_properties)
            self._send_later(session, script.connack_delay, reply + script.after_connack)
        return True

    def _answer(self, session: Session, received: Packet) -> None:
        with self._changed:
            reply = self._take(session, received)
            self._changed.notify_all()
        if reply:
            session.send(reply)
        if received.type is PacketType.DISCONNECT:
            session.ending = "disconnect"
            session.close()

    def _take(self, session: Session, received: Packet) -> bytes:
        """Note what came and return the answer."""
        script = session.script
        match received.type:
            case PacketType.PUBLISH:
                message = packet_reader.parse_publish(session.version, received)
                session.publishes.append(message)
                if message.topic == script.close_on_topic:
                    session.finish()
                    return b""
                return _publish_reply(message, script) if script.answer_publish else b""
            case PacketType.SUBSCRIBE:
                identifier, filters = packet_reader.parse_subscribe(session.version, received.body)
                if script.close_on_filter in [name for name, _ in filters]:
                    msg = f"{script.close_on_filter} is forbidden"
                    raise ValueError(msg)
                session.filters.extend(filters)
                codes = [_granted(script, options) for _, options in filters]
                reply = packets.suback(session.version, identifier, codes) + script.after_suback
                return reply if script.answer_subscribe else b""
            case PacketType.PINGREQ:
                session.pings += 1
                return packets.packet(PacketType.PINGRESP) if script.answer_ping else b""
            case PacketType.PUBREL:
                identifier = packet_reader.packet_id_of(received)
                session.releases.append((identifier, packet_reader.reason_code(received)))
                reply = packets.acknowledgement(PacketType.PUBCOMP, identifier)
                return reply if script.answer_pubrel else b""
            case PacketType.PUBACK | PacketType.PUBREC | PacketType.PUBCOMP:
                session.acknowledged.append((received.type, packet_reader.packet_id_of(received)))
                if received.type is PacketType.PUBCOMP:
                    session.completions.append(packet_reader.reason_code(received))
                return b""
            case PacketType.DISCONNECT:
                session.disconnect_code = packet_reader.disconnect_code(received)
                return b""
            case unexpected:
                msg = f"a client must not send {unexpected.name} now"
                raise ValueError(msg)

    def _send_later(self, session: Session, seconds: float, data: bytes) -> None:
        if not seconds:
            session.send(data)
            return

        def send() -> None:
            self._pause(seconds, session)
            with contextlib.suppress(OSError):
                session.send(data)

        self._start(send)

    def _close_later(self, session: Session) -> None:
        assert session.script.close_after is not None
        self._pause(session.script.close_after, session)
        session.finish()

    def _pause(self, seconds: float, session: Session) -> None:
        """Wait for `seconds`, or for the end of the session or of the broker."""
        with self._changed:
            self._changed.wait_for(lambda: self._closing or session.closed_at is not None, seconds)


def _exactly(source: socket.socket, size: int) -> bytes:
    """Return exactly `size` bytes. Raises EOFError."""
    data = bytearray()
    while len(data) < size:
        piece = source.recv(size - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def _granted(script: Script, options: int) -> int:
    return options & 0x03 if script.suback_code is None else script.suback_code


def _publish_reply(message: Publish, script: Script) -> bytes:
    if message.packet_id is None:
        return b""
    is_done = message.qos == 1 or script.lowers_qos
    kind = PacketType.PUBACK if is_done else PacketType.PUBREC
    code, properties = script.publish_code, script.publish_properties
    return packets.acknowledgement(kind, message.packet_id, code, properties)
