"""One thing that a broker must not send, and what a client may say to it.

A `Violation` is a piece of the byte stream, the moment it is sent, and the reason codes
that MQTT 5 has for it in a DISCONNECT. Where the specification says only MUST NOT, both
`malformed packet` and `protocol error` will do.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MALFORMED, WRONG = frozenset({0x81}), frozenset({0x82})
EITHER = MALFORMED | WRONG
TOPIC_NAME = EITHER | {0x90}
TOPIC_ALIAS = frozenset({0x94})

#: The Packet Identifier of the client's first SUBSCRIBE, and one that is not in use.
FIRST, UNKNOWN = b"\0\x01", b"\0\x4d"


class Moment(StrEnum):
    """When a violation is sent."""

    #: In place of the CONNACK.
    CONNACK = "connack"
    #: After the SUBSCRIBE (identifier 1, one Topic Filter), in place of its SUBACK.
    SUBACK = "suback"
    #: In a session without subscriptions that is up.
    UP = "up"


@dataclass(frozen=True, slots=True)
class Violation:
    """Bytes that must end the connection."""

    name: str
    version: int
    moment: Moment
    data: bytes
    #: What an MQTT 5 client may say in its DISCONNECT; 3.1.1 only closes.
    codes: frozenset[int]


#: Moment, name, bytes, codes of a violation in a version that is known.
Case = tuple[Moment, str, bytes, frozenset[int]]
