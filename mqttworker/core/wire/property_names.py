"""MQTT 5 properties of a PUBLISH as JSON, for whoever reads the stored message."""

from __future__ import annotations

import base64
import json
from typing import Any

from mqttworker.core import packets
from mqttworker.core.wire import properties

#: Names of the specification (section 3.3.2.3) in the form of JSON keys.
_NAMES = {
    0x01: "payload_format_indicator",
    0x02: "message_expiry_interval",
    0x03: "content_type",
    0x08: "response_topic",
    0x09: "correlation_data",
    0x0B: "subscription_identifier",
    0x26: "user_property",
}
#: Those that may come more than once; theirs is always a list.
_LISTS = frozenset({0x0B, 0x26})


def as_json(found: bytes) -> str | None:
    """Return the properties of a PUBLISH, as they came and found well-formed, as a JSON object.

    Correlation Data, which may be any bytes, in base64. None if there are none.
    """
    if not found:
        return None
    length = _variable(len(found))
    values, _ = properties.read(length + found, 0, packets.PUBLISH)
    named = {_NAMES[key]: _plain(key, items) for key, items in values.items()}
    return json.dumps(named, ensure_ascii=False)


def _plain(key: int, items: list[Any]) -> Any:
    plain = [base64.b64encode(item).decode() if isinstance(item, bytes) else item for item in items]
    return plain if key in _LISTS else plain[0]


def _variable(value: int) -> bytes:
    """Return `value` as a Variable Byte Integer (section 1.5.5)."""
    encoded = bytearray()
    while True:
        value, digit = divmod(value, 128)
        encoded.append(digit | 0x80 if value else digit)
        if not value:
            return bytes(encoded)
