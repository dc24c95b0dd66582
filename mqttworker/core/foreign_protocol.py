"""Recognise other protocols on the port of a broker by their first bytes."""

from __future__ import annotations

import re

from mqttworker.core.packets import CONNACK, MalformedPacketError, ViolationError, check_first_byte

TLS = "TLS"
#: How the answers and greetings of other protocols begin; none begins like a CONNACK.
_BEGINNINGS = {
    # A TLS record of SSL 3 or TLS 1: alert and handshake.
    b"\x15\x03": TLS,
    b"\x16\x03": TLS,
    b"HTTP/": "HTTP or WebSocket",
    b"<!DOCTYPE": "HTTP or WebSocket",
    b"<html": "HTTP or WebSocket",
    b"SSH-": "SSH",
    b"AMQP": "AMQP",
    b"-ERR": "Redis",
    b"-DENIED": "Redis",
    b"-NOAUTH": "Redis",
    b"+OK": "POP3",
    b"* OK": "IMAP",
    b"* BYE": "IMAP",
    b"INFO {": "NATS",
}
_SMTP_OR_FTP = re.compile(rb"[2-5]\d\d[ -]")
#: A CONNACK has other bytes than those of text so early.
_TEXT = re.compile(rb"[\t\r\n\x20-\x7e]{4}")
#: So many bytes of a beginning are enough.
_ENOUGH = 2


class ForeignProtocolError(MalformedPacketError):
    """The other end speaks no MQTT; `spoken` says what, None if that is not known."""

    def __init__(self, spoken: str | None) -> None:
        super().__init__(f"{spoken or 'something else'} in place of MQTT")
        self.spoken = spoken


def check_beginning(head: bytes | bytearray) -> None:
    """Judge the first bytes from the other end. Raises ForeignProtocolError."""
    if len(head) < _ENOUGH:
        return
    if (spoken := _name(head)) is not None:
        raise ForeignProtocolError(spoken)
    if _TEXT.match(head) or not _may_begin_packet(head[0]):
        raise ForeignProtocolError(None)


def _name(head: bytes | bytearray) -> str | None:
    for beginning, name in _BEGINNINGS.items():
        if beginning.startswith(bytes(head[: len(beginning)])):
            return name
    return "SMTP or FTP" if _SMTP_OR_FTP.match(head) else None


def _may_begin_packet(first: int) -> bool:
    """Whether a packet begins so, be it one that only a client may send."""
    if first & 0xF0 == CONNACK:
        # Whoever means a CONNACK is a broker, if a bad one.
        return True
    try:
        check_first_byte(first)
    except MalformedPacketError:
        return False
    except ViolationError:
        return True
    return True
