"""What we say, in gmqtt's words."""

from __future__ import annotations

from typing import Any

import gmqtt

from database.publications import Properties
from mqttworker.core.spec import ConnectionSpec
from mqttworker.core.wire import bodies
from mqttworker.ports.transport import OutboundMessage, status_message

#: Messages with QoS above 0 that a broker may send before we acknowledge one (5, section
#: 3.1.2.11.3): enough for a fast broker and a commit of 100 ms. Asked for, and
#: not insisted on: mosquitto 2.0.11 sends half as much again. The intake bounds what waits.
RECEIVE_MAXIMUM = 8_192


def will(spec: ConnectionSpec) -> gmqtt.Message | None:
    """Return the Will Message of `spec`, None if it has no status topic."""
    if not spec.status_topic:
        return None
    return publication(status_message(spec, spec.offline_payload))


def publication(message: OutboundMessage) -> gmqtt.Message:
    """Return `message` with its properties."""
    return gmqtt.Message(
        message.topic,
        message.payload,
        qos=message.qos,
        retain=message.retain,
        **_publish_properties(message.properties),
    )


def _publish_properties(given: Properties) -> dict[str, Any]:
    """Return those that are given, by gmqtt's names."""
    named = {
        "payload_format_id": given.payload_format_indicator,
        "message_expiry_interval": given.message_expiry_interval,
        "content_type": given.content_type,
        "response_topic": given.response_topic,
        "correlation_data": given.correlation_data,
        "user_property": given.user_properties or None,
    }
    return {name: value for name, value in named.items() if value is not None}


def connect_properties(spec: ConnectionSpec, version: int, max_packet_bytes: int) -> dict[str, Any]:
    """Return the properties of our CONNECT; there are none before MQTT 5."""
    if version != bodies.V5:
        return {}
    properties: dict[str, Any] = {
        "maximum_packet_size": max_packet_bytes,
        "receive_maximum": RECEIVE_MAXIMUM,
    }
    if not spec.clean_session and spec.session_expiry_s:
        properties["session_expiry_interval"] = spec.session_expiry_s
    return properties
