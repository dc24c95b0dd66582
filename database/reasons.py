"""Why a connection is in its state: one vocabulary for log, API and pages.

A transition stores a code and a `detail` mapping. The sentence is built where it is
read, so stored facts stay facts. Codes are MQTT 5 reason names where the specification
has one (section 2.4), otherwise ours. Standard library only.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from database.words import Certainty, Origin


@dataclass(frozen=True, slots=True)
class Reason:
    """One entry of the vocabulary."""

    #: The whole sentence; `{words}` are filled from the transition's detail.
    sentence: str
    #: The sentence without anything that only a signed-in person may see.
    summary: str
    #: What the operator can do; empty where nothing needs doing.
    next_step: str = ""
    origin: Origin = Origin.BROKER
    certainty: Certainty = Certainty.CERTAIN
    #: Sentences that say more, each for a detail that holds the word it is kept under.
    fuller: Mapping[str, str] = field(default_factory=dict)

    def sentence_for(self, detail: Container[str]) -> str:
        """Return the sentence that says most of what `detail` knows."""
        return next((text for word, text in self.fuller.items() if word in detail), self.sentence)


_W, _O, _N, _C, _B = Origin.WORKER, Origin.OPERATOR, Origin.NETWORK, Origin.CLIENT, Origin.BROKER
_INFERRED = Certainty.INFERRED

REASONS: dict[str, Reason] = {
    # --- our own doing
    "enabled": Reason("The record is enabled.", "enabled", origin=_O),
    "disabled": Reason("The record is disabled.", "disabled", origin=_O),
    "config_changed": Reason("The record was edited.", "edited", origin=_O),
    "operator_reconnect": Reason(
        "An operator asked for a reconnect.", "reconnect asked for", origin=_O
    ),
    "operator_test": Reason(
        "An operator tests the connection with its own client id.", "being tested", origin=_O
    ),
    "worker_start": Reason("The worker started.", "worker started", origin=_W),
    "worker_shutdown": Reason("The worker is stopping.", "worker stopping", origin=_W),
    "worker_died": Reason(
        "The worker that held this connection ended without a word; it was last heard of at {at}.",
        "the worker ended without a word",
        "Look at the worker's log from that time.",
        origin=_W,
    ),
    "success": Reason("The broker accepted the connection.", "connected"),
    "no_progress": Reason(
        "The connection made no progress in state {state} for {seconds} s and was started afresh.",
        "no progress, started afresh",
        "If it happens again, report it with the worker's log.",
        _W,
    ),
    # --- derived by readers from the worker's silence, never stored
    "not_picked_up": Reason(
        "The worker has not picked the record up yet.",
        "not picked up yet",
        "Wait a moment; if it stays, look at the worker's log.",
        _W,
    ),
    "no_worker": Reason(
        "No worker has ever reported.",
        "no worker",
        "Start it: python3 manage.py supervisorctl start mqttworker.",
        _W,
    ),
    "worker_silent": Reason(
        "The worker has been silent for {seconds} s, so nobody knows the state.",
        "worker silent",
        "Look at it: python3 manage.py supervisorctl status.",
        _W,
    ),
    "worker_stopped": Reason(
        "The worker is stopped: nothing keeps this connection up.",
        "worker stopped",
        "Start it: python3 manage.py supervisorctl start mqttworker.",
        _W,
    ),
    "worker_standby": Reason(
        "The worker stands by for another one that is not heard of.",
        "worker standing by",
        "Wait a moment: it takes over when the other's lease ends.",
        _W,
    ),
    "internal_error": Reason(
        "The worker met an error of its own ({error}).",
        "an error in the worker",
        "Report it with the worker's log; the connection tries again by itself.",
        _W,
    ),
    # --- the record
    "config_error": Reason(
        "{field}: {problem}",
        "the record cannot be used",
        "Edit the record; it starts as soon as it is saved.",
        _C,
    ),
    "secret_undecryptable": Reason(
        "The stored {field} cannot be decrypted with any of HAWSER_ENCRYPTION_KEYS.",
        "a stored secret cannot be decrypted",
        "Put the key that encrypted it back into HAWSER_ENCRYPTION_KEYS, or enter the secret "
        "again.",
        _W,
    ),
    "same_client_id": Reason(
        "Connection {other} of this worker already uses client id {client_id} on {host}:{port}.",
        "another record uses its client id",
        "Give one of the two another client id.",
        _C,
    ),
    # --- before MQTT
    "dns_failed": Reason(
        "The host name {host} could not be resolved ({error}).",
        "host name not found",
        "Check the spelling of the host and this machine's DNS.",
        _N,
    ),
    "tcp_refused": Reason(
        "Nothing accepts connections on {host}:{port}.",
        "connection refused",
        "Check the port, and that the broker runs.",
        _N,
    ),
    "tcp_timeout": Reason(
        "{host}:{port} did not answer within {seconds} s.",
        "no answer",
        "Check the address, and firewalls on the way.",
        _N,
    ),
    "network_unreachable": Reason(
        "There is no route to {host} ({error}).",
        "network unreachable",
        "Check this machine's network and VPN.",
        _N,
    ),
    "tcp_failed": Reason(
        "The TCP connection to {host}:{port} failed ({error}).",
        "TCP connection failed",
        "Check the network between this machine and the broker.",
        _N,
    ),
    "too_many_open_files": Reason(
        "The worker has run out of file descriptors.",
        "worker out of file descriptors",
        "Raise the limit of open files (ulimit -n, or minfds in supervisord.conf).",
        _W,
    ),
    "tls_unknown_ca": Reason(
        "The broker's certificate is not signed by a trusted CA ({error}).",
        "TLS: unknown certificate authority",
        "Put the CA's certificate into the record's CA field.",
        _B,
    ),
    "tls_expired": Reason(
        "The broker's certificate has expired or is not yet valid ({error}).",
        "TLS: certificate expired",
        "Have the broker's certificate renewed.",
        _B,
    ),
    "tls_name_mismatch": Reason(
        "The broker's certificate is not for {host} ({error}).",
        "TLS: certificate is for another name",
        "Use the host name that the certificate names.",
        _B,
    ),
    "tls_client_cert_rejected": Reason(
        "The broker rejected the client certificate ({error}).",
        "TLS: client certificate rejected",
        "Check that the record has a client certificate, that it is valid, and that the "
        "broker knows who signed it.",
        _B,
    ),
    "tls_expected": Reason(
        "The broker hung up on plain MQTT, and port {port} answers a TLS handshake.",
        "the port expects TLS",
        "Turn on TLS in the record, or use the plain port (often 1883).",
        _B,
        _INFERRED,
        {"answer": "{host}:{port} answered plain MQTT with TLS."},
    ),
    "plain_expected": Reason(
        "{host}:{port} hung up in the TLS handshake; it seems not to speak TLS.",
        "the port does not speak TLS",
        "Turn off TLS in the record, or use the TLS port (often 8883).",
        _B,
        _INFERRED,
        {"answer": "{host}:{port} answered the TLS handshake with something that is no TLS."},
    ),
    "tls_version": Reason(
        "{host}:{port} and this worker have no TLS version in common ({error}).",
        "TLS version too old",
        "Have the broker offer TLS 1.2 or 1.3; older versions are not safe.",
        _B,
    ),
    "tls_failed": Reason(
        "The TLS handshake with {host}:{port} failed ({error}).",
        "TLS handshake failed",
        "Check the ciphers that the broker accepts, and whether it wants a client certificate.",
        _B,
    ),
    "tls_timeout": Reason(
        "{host}:{port} did not finish the TLS handshake within {seconds} s.",
        "TLS handshake timed out",
        "Check that the port speaks TLS and that the broker is not overloaded.",
        _B,
    ),
    # --- CONNACK and SUBACK
    "connack_timeout": Reason(
        "The broker took the connection and sent no CONNACK within {seconds} s.",
        "no CONNACK",
        "Check that the port speaks MQTT and that the broker is not overloaded.",
        _B,
    ),
    "closed_before_connack": Reason(
        "The broker hung up before its CONNACK: wrong port, TLS needed, or the login refused "
        "without a word.",
        "hung up before CONNACK",
        "Check port, TLS, MQTT version and login.",
        _B,
        _INFERRED,
    ),
    "suback_timeout": Reason(
        "The broker did not answer the SUBSCRIBE within {seconds} s.",
        "no SUBACK",
        "Check the broker's load.",
        _B,
    ),
    "subscribe_refused": Reason(
        "The broker refused to subscribe to {filters}.",
        "a subscription was refused",
        "Check what this login may read, and the Topic Filter.",
        _B,
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
    # --- while connected
    "keepalive_timeout": Reason(
        "Nothing came from the broker for {seconds} s.",
        "nothing heard from the broker",
        "Look at the network between this machine and the broker.",
        _N,
    ),
    "write_blocked": Reason(
        "The broker has taken nothing of what waits for it for {seconds} s.",
        "broker takes no data",
        "Look at the broker's load, and at the network between this machine and the broker.",
        _N,
    ),
    "peer_closed": Reason(
        "The broker, or something on the way, closed the connection without a reason.",
        "closed without a reason",
        "If it happens often, look into the broker's log, and for another client with this "
        "client id.",
        _B,
    ),
    "connection_reset": Reason(
        "The connection was reset ({error}).",
        "connection reset",
        "If it happens often, look into the broker's log, and at firewalls on the way.",
        _N,
    ),
    "not_connected": Reason(
        "There is no session with the broker.", "no session", "Wait until it is connected.", _N
    ),
    "self_ping_missed": Reason(
        "A message to ourselves did not come back within {seconds} s.",
        "self-ping missing",
        "If it happens often, look at the broker's load and at what this login may publish.",
        _B,
        _INFERRED,
    ),
    "self_ping_failed": Reason(
        "Two messages to ourselves did not come back: the session stands, traffic does not flow.",
        "no traffic flows",
        "Look at the broker's load, and at what this login may publish and read below the "
        "status topic.",
        _B,
        _INFERRED,
    ),
    "self_ping_returned": Reason(
        "Messages to ourselves come back again.", "self-ping back", origin=_B
    ),
    "disconnected": Reason(
        "The broker disconnected us normally.",
        "disconnected by the broker",
        "If it happens often, look into the broker's log.",
    ),
    "protocol_error": Reason(
        "The broker says that we broke the protocol.",
        "protocol error",
        "Check what listens on that port and its log, or report it to the broker's maker.",
        fuller={"error": "The broker broke the protocol: {error}."},
    ),
    "duplicate_client_id": Reason(
        "Another client seems to use client id {client_id}: the broker closed {sessions} sessions "
        "within {window} s, each soon after it was accepted.",
        "another client uses its client id",
        "Find the other client and stop it, or give this record another client id.",
        _B,
        _INFERRED,
        {
            "rival": "Another client uses client id {client_id}: process {pid} on host {rival} "
            "({worker_id}) took it over and left its name at the broker."
        },
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


class _Blanks(dict[str, Any]):
    """Fills a sentence whose detail lacks a word: a gap must not cost the sentence."""

    def __missing__(self, key: str) -> str:
        return f"unknown {key.replace('_', ' ')}"


def explain(code: str, detail: Mapping[str, Any] | None = None) -> str:
    """Return the sentence for `code`, filled from `detail`.

    What a broker said in its own words (`said`: the Reason String of MQTT 5) follows.
    """
    reason = REASONS.get(code)
    if reason is None:
        return code.replace("_", " ")
    known = detail or {}
    sentence = reason.sentence_for(known).format_map(_Blanks(known))
    return f'{sentence} It says: "{known["said"]}".' if known.get("said") else sentence


def summarise(code: str) -> str:
    """Return a few words for `code` that hold no host, id or topic."""
    reason = REASONS.get(code)
    return reason.summary if reason else code.replace("_", " ")


def next_step(code: str) -> str:
    """Return what the operator can do about `code`, or an empty string."""
    reason = REASONS.get(code)
    return reason.next_step if reason else ""
