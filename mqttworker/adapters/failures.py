"""From exceptions of sockets, TLS and timeouts to reasons."""

from __future__ import annotations

import errno
import logging
import socket
import ssl
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum

from database.words import Certainty
from mqttworker.adapters.certificate_errors import alert_cause, verify_cause
from mqttworker.core import foreign_protocol, packets
from mqttworker.core.cause import Cause, cause
from mqttworker.core.foreign_protocol import ForeignProtocolError

_logger = logging.getLogger(__name__)


class Phase(StrEnum):
    """How far a try has come."""

    DNS = "dns"
    TCP = "tcp"
    TLS = "tls"
    CONNACK = "connack"
    SUBACK = "suback"
    UP = "up"
    CLOSING = "closing"
    OVER = "over"


class ForbiddenAddressError(OSError):
    """A name leads only to `addresses`, all of which `database.destinations` refuses."""

    #: Addresses that are named; a name may have any number.
    SHOWN = 4

    def __init__(self, addresses: Sequence[str]) -> None:
        self.addresses = ", ".join(addresses[: self.SHOWN])
        super().__init__(0, self.addresses)


#: What a deadline that passes in each phase means.
_TIMEOUTS = {
    Phase.DNS: "dns_failed",
    Phase.TCP: "tcp_timeout",
    Phase.TLS: "tls_timeout",
    Phase.CONNACK: "connack_timeout",
    Phase.SUBACK: "suback_timeout",
}

_ERRNOS = {
    errno.ECONNREFUSED: "tcp_refused",
    errno.ETIMEDOUT: "tcp_timeout",
    errno.ENETUNREACH: "network_unreachable",
    errno.EHOSTUNREACH: "network_unreachable",
    errno.EMFILE: "too_many_open_files",
    errno.ENFILE: "too_many_open_files",
}

#: What OpenSSL says to bytes that are no TLS at all.
NOT_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"})
#: What it says where no TLS version suits both sides.
_VERSIONS = frozenset(
    {"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE"}
)


def timeout_cause(phase: Phase, seconds: float) -> Cause:
    """Return what it means that the deadline of `seconds` passed in `phase`."""
    return cause(_TIMEOUTS[phase], seconds=seconds, error=f"no answer within {seconds} s")


def error_cause(error: BaseException, phase: Phase) -> Cause:
    """Return what `error` means when it ends a try in `phase`."""
    if isinstance(error, socket.gaierror | UnicodeError):
        return cause("dns_failed", raw_code=_errno(error), error=_words(error))
    if isinstance(error, ForbiddenAddressError):
        return cause("address_not_allowed", addresses=error.addresses)
    if isinstance(error, ssl.SSLCertVerificationError):
        return verify_cause(error)
    if isinstance(error, ssl.SSLError):
        return _tls_cause(error)
    if phase is Phase.TLS and isinstance(error, ConnectionError):
        return cause("plain_expected", raw_code=_errno(error))
    if isinstance(error, OSError):
        code = _ERRNOS.get(error.errno or 0, "tcp_failed")
        return cause(code, raw_code=error.errno, error=_words(error))
    return unexpected_cause(error)


def lost_cause(error: BaseException | None, phase: Phase) -> Cause:
    """Return what it means that the socket closed, with or without an error, in `phase`."""
    if isinstance(error, ssl.SSLError):
        return _tls_cause(error)
    if phase is Phase.CONNACK:
        return cause("closed_before_connack", raw_code=_errno(error))
    if error is None:
        return cause("peer_closed")
    return cause("connection_reset", raw_code=_errno(error), error=_words(error))


def undone_cause() -> Cause:
    """Return what it means that a TLS connection was reset before its first write.

    With TLS 1.3 a broker judges our certificate after the handshake. It names the reason
    in an alert, which a write into the socket that it has reset meanwhile makes unreadable.
    """
    why = cause("tls_client_cert_rejected", error="reset right after the handshake")
    return replace(why, certainty=Certainty.INFERRED)


def data_cause(error: Exception, *, limit: int) -> Cause:
    """Return what it means that `error` came up over what the broker sent."""
    if isinstance(error, packets.PacketTooLargeError):
        return cause("packet_too_large", bytes=error.size, limit=limit)
    if isinstance(error, ForeignProtocolError):
        return _foreign_cause(error.spoken)
    if isinstance(error, packets.ConnackError):
        return replace(cause("protocol_error", error=str(error)), is_version_misfit=True)
    if isinstance(error, packets.ViolationError):
        return cause("protocol_error", error=str(error))
    return unexpected_cause(error)


def unexpected_cause(error: BaseException) -> Cause:
    """Return the reason for an error that nobody expected; its trace goes to the log."""
    _logger.error("a connection met an error of ours", exc_info=error)
    return cause("internal_error", error=type(error).__name__)


def _foreign_cause(spoken: str | None) -> Cause:
    if spoken == foreign_protocol.TLS:
        return replace(cause("tls_expected", answer="TLS"), certainty=Certainty.CERTAIN)
    return cause("not_mqtt", spoken=spoken) if spoken else cause("not_mqtt")


def _tls_cause(error: ssl.SSLError) -> Cause:
    reason = str(getattr(error, "reason", None) or "").upper()
    if (rejected := alert_cause(reason)) is not None:
        return rejected
    if reason in NOT_TLS:
        return replace(cause("plain_expected", answer="plain"), certainty=Certainty.CERTAIN)
    if reason in _VERSIONS:
        return cause("tls_version", error=_words(error))
    return cause("tls_failed", error=_words(error))


def _errno(error: BaseException | None) -> int | None:
    return getattr(error, "errno", None)


def _words(error: BaseException) -> str:
    """Return the system's own words for an error, short and in one line."""
    text = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return " ".join(str(text).split())[:200] or type(error).__name__
