"""What a scripted broker does to a connection, one name a fault."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support import packets
from tests.support.packets import PacketType


@dataclass(frozen=True, slots=True)
class Script:
    """What a connection meets. The defaults are a good broker."""

    #: CONNACK code; None sends none and keeps the connection open.
    connack: int | None = 0
    #: Seconds between CONNECT and CONNACK.
    connack_delay: float = 0.0
    #: MQTT 5 properties of the CONNACK, encoded.
    connack_properties: bytes = b""
    #: Take the bytes and never answer; with TLS, not even the handshake.
    silent: bool = False
    #: Sent in place of a CONNACK.
    instead_of_connack: bytes | None = None
    close_before_connack: bool = False
    #: Sent right after the CONNACK.
    after_connack: bytes = b""
    #: Sent right after the first SUBACK.
    after_suback: bytes = b""
    #: Close this many seconds after the CONNACK.
    close_after: float | None = None
    #: Sent just before that close, for example a DISCONNECT.
    last_words: bytes = b""
    #: Whatever closes sends RST instead of FIN.
    reset: bool = False
    #: Only our direction is closed; what the client sends is still taken.
    half: bool = False
    #: SUBACK code for every filter; None grants what was asked for.
    suback_code: int | None = None
    answer_subscribe: bool = True
    #: Hang up when somebody subscribes to this Topic Filter.
    close_on_filter: str | None = None
    #: Say the last words and hang up when somebody publishes to this topic.
    close_on_topic: str | None = None
    answer_publish: bool = True
    #: Reason Code of every PUBACK and PUBREC (MQTT 5).
    publish_code: int | None = None
    #: Properties of the same, with their length.
    publish_properties: bytes = b""
    #: Whether QoS 2 is answered with a PUBACK, as by a broker that has no more than QoS 1.
    lowers_qos: bool = False
    #: Whether a PUBREL is answered with PUBCOMP.
    answer_pubrel: bool = True
    answer_ping: bool = True


GOOD = Script()
SILENT = Script(silent=True)
NO_CONNACK = Script(connack=None)
CLOSE_BEFORE_CONNACK = Script(close_before_connack=True)
RESET_BEFORE_CONNACK = Script(close_before_connack=True, reset=True)
NO_SUBACK = Script(answer_subscribe=False)
SUBACK_FAILURE = Script(suback_code=0x80)
NO_PUBACK = Script(answer_publish=False)
NO_PINGRESP = Script(answer_ping=False)
#: What a web server says on that port.
GARBAGE = Script(instead_of_connack=b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"<p>No.</p>" * 20)


def refuse(code: int) -> Script:
    """A CONNACK with `code`, then the close that the specification asks for."""
    return Script(connack=code, close_after=0.0)


def close_after(seconds: float, *, reset: bool = False) -> Script:
    """Accept, then close without a word."""
    return Script(close_after=seconds, reset=reset)


def taken_over(seconds: float) -> Script:
    """Accept, then send DISCONNECT 0x8E (MQTT 5 only) and close."""
    return Script(close_after=seconds, last_words=packets.disconnect(0x8E))


def oversize(announced: int) -> Script:
    """Accept, then begin a PUBLISH that announces `announced` bytes and never comes."""
    header = bytes([PacketType.PUBLISH << 4]) + packets.remaining_length(announced)
    return Script(after_suback=header + packets.text("large"))
