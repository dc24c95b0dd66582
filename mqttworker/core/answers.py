"""What a broker's CONNACK and DISCONNECT say, in our words."""

from __future__ import annotations

from dataclasses import replace

from database import reasons
from database.visible import one_line
from database.words import Protocol
from mqttworker.core import packets
from mqttworker.core.cause import Cause, cause
from mqttworker.core.wire import bodies, properties

#: Characters that are kept of what a broker says in text.
MAX_TEXT = 300
#: Shortest password that is looked for in it, characters.
MIN_PASSWORD = 4
#: Properties that say something in text, and the word they are kept under.
_TEXTS = {properties.SERVER_REFERENCE: "server", properties.REASON_STRING: "said"}
#: Length of a CONNACK of 3.1.1, bytes.
OLD_LENGTH = 2
#: What a broker may refuse in it because it took an MQTT 5 CONNECT for one of 3.1.1, and
#: read the client id or the login in the wrong place.
_MISREAD = frozenset({2, 4, 5})
#: Where the properties begin; in the acknowledgements of a PUBLISH, after identifier and code.
_PROPERTIES_AT = {packets.CONNACK: 2, packets.DISCONNECT: 1}


def connack_cause(body: bytes, version: str, password: str | None = None) -> Cause | None:
    """Return why a CONNACK refuses, None if it accepts (5, section 3.2.2.2; 3.1.1, table 3.1).

    Here and below a broker that repeats our `password` in its words is not quoted so far.
    """
    code = body[1]
    if code == 0:
        return None
    # A broker that does not know MQTT 5 answers with the codes of 3.1.1.
    old = version == Protocol.V311 or code in reasons.CONNACK_311
    words = reasons.CONNACK_311 if old else reasons.REASON_CODES_5
    known = {} if old else _said(body, packets.CONNACK, password)
    why = cause(words.get(code, "unspecified_error"), raw_code=code, protocol=version, **known)
    is_misread = version == Protocol.V5 and len(body) == OLD_LENGTH and code in _MISREAD
    return replace(why, is_version_misfit=is_misread)


def disconnect_cause(body: bytes, password: str | None = None) -> Cause:
    """Return why the broker says DISCONNECT (5, section 3.14.2.1)."""
    code = body[0] if body else 0
    known = _said(body, packets.DISCONNECT, password)
    return cause(reasons.REASON_CODES_5.get(code, "unspecified_error"), raw_code=code, **known)


def publish_cause(code: int) -> Cause:
    """Return why the broker did not take a PUBLISH (5, section 3.4.2.1)."""
    return cause(reasons.REASON_CODES_5.get(code, "unspecified_error"), raw_code=code)


def acknowledgement(
    first: int, body: bytes, version: int, password: str | None = None
) -> tuple[int | None, str]:
    """Return the Reason Code of a PUBACK, PUBREC or PUBCOMP and what it says in words.

    MQTT 3.1.1 knows no codes: None. `first` is the packet's first byte.
    """
    if version != bodies.V5:
        return None, ""
    said = _said(body, first & 0xF0, password)
    return (body[2] if len(body) > 2 else 0), said.get("said", "")


def _said(body: bytes, kind: int, password: str | None) -> dict[str, str]:
    """Return the Server Reference and the Reason String, where there are any to be read."""
    at = _PROPERTIES_AT.get(kind, 3)
    if len(body) <= at:
        return {}
    try:
        found, _ = properties.read(body, at, kind)
    except ValueError:
        # What the broker means is clear from its code.
        return {}
    return {
        word: one_line(_without(found[identifier][0], password), MAX_TEXT)
        for identifier, word in _TEXTS.items()
        if identifier in found
    }


def _without(text: str, password: str | None) -> str:
    # A shorter one would be in every text, and be given away by what is missing.
    if password is None or len(password) < MIN_PASSWORD:
        return text
    return text.replace(password, "***")
