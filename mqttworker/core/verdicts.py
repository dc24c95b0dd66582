"""Reasons sorted by what they say about the next try."""

from __future__ import annotations

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
        "tcp_refused",
        "tcp_timeout",
        "tcp_failed",
        "network_unreachable",
        "too_many_open_files",
        "config_error",
        "tls_unknown_ca",
        "tls_expired",
        "tls_name_mismatch",
        "tls_timeout",
        "plain_expected",
    }
)
