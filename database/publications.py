"""A message that an operator wants published: what it holds, and the rules for it.

The web writes it into a command, the worker reads it there; both judge it by `problems`.
Pure functions.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from database.rules import MAX_STRING_BYTES, check_integer, check_string, too_long
from database.sentences import say

#: Who published what, and what became of it, is kept for this long.
KEEP_FOR = timedelta(days=30)
#: Set in the parameters of a command that is only kept for the history: nobody was there to
#: ask, and it must not be done later.
WITHHELD = "withheld"
#: Longest payload that an operator may publish, bytes.
MAX_PAYLOAD_BYTES = 262_144
MAX_EXPIRY = 0xFFFF_FFFF  # seconds, four bytes
MAX_USER_PROPERTIES = 64


@dataclass(frozen=True, slots=True)
class Properties:
    """The MQTT 5 properties of a PUBLISH that say something about its payload (section 3.3.2.3).

    None, or no User Properties, are not sent.
    """

    #: 0: bytes; 1: UTF-8 text.
    payload_format_indicator: int | None = None
    #: Seconds.
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    user_properties: tuple[tuple[str, str], ...] = ()

    @property
    def size(self) -> int:
        """How many bytes they take in a packet, without their length."""
        fixed = 2 * (self.payload_format_indicator is not None)
        fixed += 5 * (self.message_expiry_interval is not None)
        strings = (self.content_type, self.response_topic, self.correlation_data)
        pairs = sum(5 + _bytes(name) + _bytes(value) for name, value in self.user_properties)
        return fixed + pairs + sum(3 + _bytes(item) for item in strings if item is not None)


#: What most messages have.
NO_PROPERTIES = Properties()


@dataclass(frozen=True, slots=True)
class Publication:
    """What an operator wants published."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


def problems(wanted: Publication) -> dict[str, str]:
    """Return `{field: sentence}` for all that is wrong with it, empty if nothing is."""
    found = {
        "topic": check_topic(wanted.topic),
        "payload": check_payload(wanted.payload),
        "qos": check_integer(wanted.qos, 0, 2),
        **_check_properties(wanted.properties, wanted.payload),
    }
    return {field: problem for field, problem in found.items() if problem}


def check_topic(value: object) -> str | None:
    """A Topic Name to publish to; one that begins with $ is the broker's business."""
    if not isinstance(value, str) or not value:
        return say("Enter a topic.")
    if "+" in value or "#" in value:
        return say("A topic to publish to must not hold the wildcards + and #.")
    return check_string(value)


def check_payload(payload: bytes) -> str | None:
    """A payload of any bytes, which may be empty."""
    if len(payload) <= MAX_PAYLOAD_BYTES:
        return None
    return too_long(MAX_PAYLOAD_BYTES, len(payload))


def _check_properties(wanted: Properties, payload: bytes) -> dict[str, str | None]:
    expiry, response = wanted.message_expiry_interval, wanted.response_topic
    return {
        "payload_format_indicator": _check_format(wanted.payload_format_indicator, payload),
        "message_expiry_interval": None if expiry is None else check_integer(expiry, 0, MAX_EXPIRY),
        "content_type": None if wanted.content_type is None else check_string(wanted.content_type),
        "response_topic": None if response is None else check_topic(response),
        "correlation_data": _check_correlation(wanted.correlation_data or b""),
        "user_properties": _check_pairs(wanted.user_properties),
    }


def _check_format(value: int | None, payload: bytes) -> str | None:
    if value is None:
        return None
    if value == 1:
        try:
            payload.decode("utf-8")
        except UnicodeDecodeError:
            return say("The payload is not UTF-8 text; leave this out, or say that it is bytes.")
    return check_integer(value, 0, 1)


def _check_correlation(value: bytes) -> str | None:
    if len(value) <= MAX_STRING_BYTES:
        return None
    return too_long(MAX_STRING_BYTES, len(value))


def _check_pairs(pairs: tuple[tuple[str, str], ...]) -> str | None:
    if len(pairs) > MAX_USER_PROPERTIES:
        return say(
            "Use at most {limit} User Properties; these are {number}.",
            limit=MAX_USER_PROPERTIES,
            number=len(pairs),
        )
    return next(
        (problem for pair in pairs for text in pair if (problem := check_string(text))), None
    )


# --- as a command holds it --------------------------------------------------------------


def to_json(wanted: Publication) -> dict[str, Any]:
    """Return what a command stores of it."""
    properties = wanted.properties
    correlation = properties.correlation_data
    return {
        "topic": wanted.topic,
        "payload": _encoded(wanted.payload),
        "qos": wanted.qos,
        "retain": wanted.retain,
        "properties": {
            "payload_format_indicator": properties.payload_format_indicator,
            "message_expiry_interval": properties.message_expiry_interval,
            "content_type": properties.content_type,
            "response_topic": properties.response_topic,
            "correlation_data": None if correlation is None else _encoded(correlation),
            "user_properties": [list(pair) for pair in properties.user_properties],
        },
    }


def read(parameters: str | None) -> tuple[Publication, Mapping[str, Any]] | None:
    """Return what the parameters of a command want, and all they hold; None for nonsense."""
    try:
        asked = json.loads(parameters or "")
        return _from_json(asked), asked
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _from_json(asked: Mapping[str, Any]) -> Publication:
    given = asked["properties"]
    correlation = given["correlation_data"]
    properties = Properties(
        given["payload_format_indicator"],
        given["message_expiry_interval"],
        given["content_type"],
        given["response_topic"],
        None if correlation is None else _decoded(correlation),
        tuple((str(name), str(value)) for name, value in given["user_properties"]),
    )
    payload = _decoded(asked["payload"])
    return Publication(
        str(asked["topic"]), payload, asked["qos"], bool(asked["retain"]), properties
    )


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _bytes(value: str | bytes) -> int:
    return len(value.encode() if isinstance(value, str) else value)
