"""Reasons sorted by what they say about the next try, and what a failure speaks of."""

from __future__ import annotations

from enum import Enum, auto

from database.words import Origin
from mqttworker.core.cause import Cause
from mqttworker.core.events import Lost

#: The broker or the network could not be reached: true for every connection to it alike.
UNREACHABLE = frozenset(
    {
        "dns_failed",
        "tcp_refused",
        "tcp_timeout",
        "tcp_failed",
        "network_unreachable",
        "tls_timeout",
        "connack_timeout",
        "suback_timeout",
        "closed_before_connack",
        "keepalive_timeout",
        "server_shutting_down",
    }
)
#: The broker is there and asks for patience.
BUSY = frozenset(
    {"server_busy", "server_unavailable", "connection_rate_exceeded", "quota_exceeded"}
)
#: Tries that ended so had not sent a CONNECT yet.
BEFORE_CONNECT = frozenset(
    {
        "dns_failed",
        "address_not_allowed",
        "tcp_refused",
        "tcp_timeout",
        "tcp_failed",
        "network_unreachable",
        "too_many_open_files",
        "config_error",
        "tls_unknown_ca",
        "tls_expired",
        "tls_not_yet_valid",
        "tls_name_mismatch",
        "tls_key_too_weak",
        "tls_signature_too_weak",
        "tls_wrong_purpose",
        "tls_ca_invalid",
        "tls_chain_too_long",
        "tls_certificate_invalid",
        "tls_timeout",
        "plain_expected",
    }
)
#: What the broker, or our own rule, says no to for good, until somebody changes something.
REFUSALS = frozenset(
    {
        "address_not_allowed",
        "bad_user_name_or_password",
        "not_authorized",
        "banned",
        "client_identifier_not_valid",
        "bad_authentication_method",
        "unsupported_protocol_version",
        "topic_name_invalid",
        "payload_format_invalid",
        "retain_not_supported",
        "qos_not_supported",
        "use_another_server",
        "server_moved",
    }
)
#: What only an edit of the record can cure.
FLAWS = frozenset({"config_error", "secret_undecryptable", "same_client_id"})
#: How a broker ends a session that was taken over, where it says nothing.
SILENT_CLOSES = frozenset({"peer_closed", "connection_reset"})
#: How brokers answer a version they do not speak: in words, by hanging up, or not at all.
VERSION_REFUSALS = frozenset(
    {"unsupported_protocol_version", "closed_before_connack", "connack_timeout"}
)


def is_version_refusal(why: Cause) -> bool:
    """Whether `auto` tries the other MQTT version after a try that ended so."""
    return why.code in VERSION_REFUSALS or why.is_version_misfit


class Failure(Enum):
    """What a failure speaks of."""

    #: The connection itself.
    OWN = auto()
    #: The broker or the network, which no connection reaches now.
    CUT_OFF = auto()
    #: A broker that accepts and then does not keep.
    FLAP = auto()


def is_suspicious(event: Lost) -> bool:
    """Whether the loss looks like the work of a rival with our client id."""
    return event.why.code in SILENT_CLOSES and event.door_open


def is_refusal(why: Cause) -> bool:
    """Whether the broker says no to a client that it knows nothing else of."""
    return why.code in REFUSALS and why.origin is Origin.BROKER


def of_try(code: str) -> Failure:
    """Return what a try that failed speaks of."""
    return Failure.CUT_OFF if code in UNREACHABLE else Failure.OWN


def of_loss(event: Lost, *, is_short: bool) -> Failure:
    """Return what a lost session speaks of."""
    if event.why.code in SILENT_CLOSES and not event.door_open:
        return Failure.CUT_OFF
    if is_short:
        return Failure.FLAP
    if event.why.code in SILENT_CLOSES and not event.alone:
        return Failure.CUT_OFF
    return of_try(event.why.code)
