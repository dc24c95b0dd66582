"""What a broker answers, in its own codes or by saying nothing."""

from __future__ import annotations

from database.reasons.reason import Reason
from database.words import Certainty, Origin

ANSWERS: dict[str, Reason] = {
    "connack_timeout": Reason(
        "The broker took the connection and sent no CONNACK within {seconds} s.",
        "no CONNACK",
        "Check that the port speaks MQTT and that the broker is not overloaded.",
        Origin.BROKER,
    ),
    "closed_before_connack": Reason(
        "The broker hung up before its CONNACK: wrong port, TLS needed, or the login refused "
        "without a word.",
        "hung up before CONNACK",
        "Check port, TLS, MQTT version and login.",
        Origin.BROKER,
        Certainty.INFERRED,
    ),
    "suback_timeout": Reason(
        "The broker did not answer the SUBSCRIBE within {seconds} s.",
        "no SUBACK",
        "Check the broker's load.",
        Origin.BROKER,
    ),
    "subscribe_refused": Reason(
        "The broker refused to subscribe to {filters}.",
        "a subscription was refused",
        "Check what this login may read, and the Topic Filter.",
        Origin.BROKER,
    ),
    "unspecified_error": Reason(
        "The broker reports an unspecified error.",
        "unspecified error",
        "Look into the broker's log.",
    ),
    "malformed_packet": Reason(
        "The broker calls a packet of ours malformed.",
        "malformed packet",
        "Look into the broker's log, and report it with the worker's log.",
    ),
    "implementation_specific_error": Reason(
        "The broker cannot process the request.",
        "implementation specific error",
        "Look into the broker's log.",
    ),
    "unsupported_protocol_version": Reason(
        "The broker does not speak MQTT {protocol}.",
        "MQTT version not supported",
        "Set the record's MQTT version to auto or to one that the broker speaks.",
    ),
    "client_identifier_not_valid": Reason(
        "The broker does not accept client id {client_id}.",
        "client id not accepted",
        "Use another client id; some brokers take only 23 letters and digits.",
    ),
    "bad_user_name_or_password": Reason(
        "The broker does not accept the user name or password.",
        "bad user name or password",
        "Enter the login again; ask the broker's operator if it is right.",
    ),
    "not_authorized": Reason(
        "The broker does not authorise this client.",
        "not authorised",
        "Check user name, password, client id and the broker's access rules.",
    ),
    "server_unavailable": Reason(
        "The broker says that it is unavailable.",
        "broker unavailable",
        "It is tried again; if it stays, look at the broker.",
    ),
    "server_busy": Reason(
        "The broker is busy.", "broker busy", "It is tried again; if it stays, look at its load."
    ),
    "banned": Reason(
        "The broker has banned this client.", "banned", "Ask the broker's operator to lift the ban."
    ),
    "server_shutting_down": Reason(
        "The broker is shutting down.", "broker shutting down", "It is tried until it is back."
    ),
    "bad_authentication_method": Reason(
        "The broker wants another authentication method.",
        "bad authentication method",
        "Use a broker listener that takes user name and password or client certificates.",
    ),
    "keep_alive_timeout": Reason(
        "The broker heard nothing from us within the Keep Alive.",
        "keep alive timeout at broker",
        "If it happens often, raise the Keep Alive or look at the network.",
    ),
    "session_taken_over": Reason(
        "Another client connected with client id {client_id}; the broker says so.",
        "another client uses its client id",
        "Find the other client and stop it, or give this record another client id.",
    ),
    "topic_filter_invalid": Reason(
        "The broker calls a Topic Filter invalid.",
        "topic filter invalid",
        "Correct the Topic Filter.",
    ),
    "topic_name_invalid": Reason(
        "The broker does not accept the Topic Name.",
        "topic name invalid",
        "Change the status topic, or the topic that was published to.",
    ),
    "packet_too_large": Reason(
        "The broker does not accept a packet of this size.",
        "packet too large",
        "Raise the limit (here HAWSER_MAX_PACKET_BYTES) if such packets are meant, or find who "
        "publishes them.",
        fuller={"limit": "A packet of {bytes} bytes exceeds the limit of {limit} bytes."},
    ),
    "packet_identifier_in_use": Reason(
        "The broker says that a Packet Identifier is in use.",
        "packet identifier in use",
        "Report it with the worker's log.",
    ),
    "packet_identifier_not_found": Reason(
        "The broker does not know a Packet Identifier.",
        "packet identifier not found",
        "Report it with the worker's log.",
    ),
    "receive_maximum_exceeded": Reason(
        "The broker got more messages at once than it takes.",
        "receive maximum exceeded",
        "Publish fewer messages at once, or raise the broker's Receive Maximum.",
    ),
    "topic_alias_invalid": Reason(
        "The broker does not accept a Topic Alias.",
        "topic alias invalid",
        "Report it with the worker's log.",
    ),
    "message_rate_too_high": Reason(
        "The broker gets too many messages from us.",
        "message rate too high",
        "Publish less often, or ask the broker's operator to allow more.",
    ),
    "shared_subscriptions_not_supported": Reason(
        "The broker does not support shared subscriptions.",
        "shared subscriptions not supported",
        "Use a Topic Filter that does not begin with $share.",
    ),
    "maximum_connect_time": Reason(
        "The broker allows no longer connection.",
        "maximum connect time",
        "Ask the broker's operator, or get a new login or token.",
    ),
    "subscription_identifiers_not_supported": Reason(
        "The broker does not support Subscription Identifiers.",
        "subscription identifiers not supported",
        "Report it with the worker's log.",
    ),
    "wildcard_subscriptions_not_supported": Reason(
        "The broker does not support wildcards in Topic Filters.",
        "wildcard subscriptions not supported",
        "Use Topic Filters without + and #.",
    ),
    "quota_exceeded": Reason(
        "A quota at the broker is exceeded.", "quota exceeded", "Ask the broker's operator."
    ),
    "administrative_action": Reason(
        "The broker's operator closed the connection.",
        "closed by the broker's operator",
        "Ask the broker's operator why.",
    ),
    "payload_format_invalid": Reason(
        "The broker does not accept the payload.",
        "payload format invalid",
        "Change the offline payload, or the payload that was published.",
    ),
    "retain_not_supported": Reason(
        "The broker does not support retained messages.",
        "retain not supported",
        "Turn off retain for the status messages.",
    ),
    "qos_not_supported": Reason(
        "The broker does not support this QoS.",
        "QoS not supported",
        "Lower the QoS of the status messages.",
    ),
    "use_another_server": Reason(
        "The broker asks to use another server ({server}).",
        "use another server",
        "Change host and port if the move is to stay.",
    ),
    "server_moved": Reason(
        "The broker has moved ({server}).", "server moved", "Change host and port."
    ),
    "connection_rate_exceeded": Reason(
        "The broker takes no more connections for now.",
        "connection rate exceeded",
        "It is tried again more slowly; if it stays, ask the broker's operator.",
    ),
}

#: CONNACK return codes of MQTT 3.1.1 (table 3.1).
CONNACK_311 = {
    1: "unsupported_protocol_version",
    2: "client_identifier_not_valid",
    3: "server_unavailable",
    4: "bad_user_name_or_password",
    5: "not_authorized",
}

#: Reason codes of MQTT 5 in CONNACK and DISCONNECT (sections 3.2.2.2 and 3.14.2.1).
REASON_CODES_5 = {
    0x00: "disconnected",
    0x80: "unspecified_error",
    0x81: "malformed_packet",
    0x82: "protocol_error",
    0x83: "implementation_specific_error",
    0x84: "unsupported_protocol_version",
    0x85: "client_identifier_not_valid",
    0x86: "bad_user_name_or_password",
    0x87: "not_authorized",
    0x88: "server_unavailable",
    0x89: "server_busy",
    0x8A: "banned",
    0x8B: "server_shutting_down",
    0x8C: "bad_authentication_method",
    0x8D: "keep_alive_timeout",
    0x8E: "session_taken_over",
    0x8F: "topic_filter_invalid",
    0x90: "topic_name_invalid",
    0x91: "packet_identifier_in_use",
    0x92: "packet_identifier_not_found",
    0x93: "receive_maximum_exceeded",
    0x94: "topic_alias_invalid",
    0x95: "packet_too_large",
    0x96: "message_rate_too_high",
    0x97: "quota_exceeded",
    0x98: "administrative_action",
    0x99: "payload_format_invalid",
    0x9A: "retain_not_supported",
    0x9B: "qos_not_supported",
    0x9C: "use_another_server",
    0x9D: "server_moved",
    0x9E: "shared_subscriptions_not_supported",
    0x9F: "connection_rate_exceeded",
    0xA0: "maximum_connect_time",
    0xA1: "subscription_identifiers_not_supported",
    0xA2: "wildcard_subscriptions_not_supported",
}
