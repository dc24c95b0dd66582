"""What a broker's CONNACK and DISCONNECT say, in our words."""

from __future__ import annotations

from database import reasons
from database.words import Protocol
from mqttworker.core import packets
from mqttworker.core.cause import Cause, cause
from mqttworker.core.wire import properties

#: Characters of a Server Reference that are kept: host names and addresses are shorter.
MAX_REFERENCE = 300


def connack_cause(body: bytes, version: str) -> Cause | None:
    """Return why a CONNACK refuses, None if it accepts (5, section 3.2.2.2; 3.1.1, table 3.1)."""
    code = body[1]
    if code == 0:
        return None
    # A broker that does not know MQTT 5 answers with the codes of 3.1.1.
    old = version == Protocol.V311 or code in reasons.CONNACK_311
    words = reasons.CONNACK_311 if old else reasons.REASON_CODES_5
    known = {} if old else _server(body, packets.CONNACK)
    return cause(words.get(code, "unspecified_error"), raw_code=code, protocol=version, **known)


def disconnect_cause(body: bytes) -> Cause:
    """Return why the broker says DISCONNECT (5, section 3.14.2.1)."""
    code = body[0] if body else 0
    known = _server(body, packets.DISCONNECT)
    return cause(reasons.REASON_CODES_5.get(code, "unspecified_error"), raw_code=code, **known)


def publish_cause(code: int) -> Cause:
    """Return why the broker did not take a PUBLISH (5, section 3.4.2.1)."""
    return cause(reasons.REASON_CODES_5.get(code, "unspecified_error"), raw_code=code)


def _server(body: bytes, kind: int) -> dict[str, str]:
    """Return the Server Reference (5, section 4.13), if there is one to be read."""
    at = 2 if kind == packets.CONNACK else 1
    if len(body) <= at:
        return {}
    try:
        found, _ = properties.read(body, at, kind)
    except ValueError:
        # What the broker means is clear from its code.
        return {}
    references = found.get(properties.SERVER_REFERENCE)
    return {"server": references[0][:MAX_REFERENCE]} if references else {}
