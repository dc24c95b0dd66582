"""How each reason comes about that a session can report: one scene a code.

A scene plays a scripted broker, a real TLS server or the machine's own network to the
transport that the product ships, and returns the reason that the session reported.
"""

from __future__ import annotations

import resource
import socket
import ssl
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import gevent

from database import destinations
from database.reasons import CONNACK_311, REASON_CODES_5
from mqttworker.core.cause import Cause
from mqttworker.core.spec import SubscriptionSpec, TLSSettings
from mqttworker.ports.transport import OutboundMessage
from tests.support import packets, scripts
from tests.support.certificate_shapes import serving
from tests.support.certificates import Certificates, Pair
from tests.support.process import HOST, free_port
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.deaf_broker import DeafBroker
from tests.worker.contract.sessions import Try, spec_for
from tests.worker.contract.test_certificate_faults import FAULTS

BRIEF = 0.4  # seconds, for deadlines that are to pass
ANYTHING = (SubscriptionSpec("#", 0),)


@dataclass(frozen=True, slots=True)
class Props:
    """What a scene is played with."""

    broker: ScriptedBroker
    open_try: OpenTry
    certificates: Certificates

    def failure(self, script: Script, protocol: str = "5", **changes: object) -> Cause:
        """Return why a try fails at a broker with this script."""
        self.broker.script = script
        return self.open_try(spec_for(self.broker.port, **changes), protocol).failure()

    def loss(self, script: Script, **changes: object) -> Cause:
        """Return why a session is lost to a broker with this script."""
        self.broker.script = script
        return self.open_try(spec_for(self.broker.port, **changes)).loss()

    @property
    def trusting(self) -> TLSSettings:
        """Settings that trust the good server."""
        return TLSSettings(ca_pem=self.certificates.ca.certificate_pem)

    def tls_failure(self, context: ssl.SSLContext, tls: TLSSettings | None) -> Cause:
        """Return why a try fails at a TLS server."""
        with ScriptedBroker(tls=context) as server:
            return self.open_try(spec_for(server.port, tls=tls)).failure()

    def server(self, pair: Pair | None = None) -> ssl.SSLContext:
        """Return a TLS server that presents `pair`, the good one by default."""
        shown = pair or self.certificates.server
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown.certificate, shown.key)
        return context


Scene = Callable[[Props], Cause]


def _refusal(code: int, protocol: str) -> Scene:
    return lambda props: props.failure(scripts.refuse(code), protocol)


def _last_words(code: int) -> Scene:
    script = Script(close_after=0.05, last_words=packets.disconnect(code))
    return lambda props: props.loss(script)


def _tcp_timeout(props: Props) -> Cause:
    # A full accept queue drops SYNs as a firewall does.
    with socket.create_server((HOST, 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex((HOST, port))
        why = props.open_try(spec_for(port, connect_timeout_s=BRIEF)).failure()
        for filler in fillers:
            filler.close()
    return why


def _too_many_open_files(props: Props) -> Cause:
    spec = spec_for(props.broker.port)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as lowest_free:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free.fileno() + 1, hard))
        try:
            return props.open_try(spec).failure()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _client_certificate(props: Props) -> Cause:
    context = props.server()
    context.load_verify_locations(props.certificates.ca.certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    return props.tls_failure(context, props.trusting)


def _old_tls(props: Props) -> Cause:
    context = props.server()
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # Python warns about versions that nobody should use; that is the point.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return props.tls_failure(context, props.trusting)


def _no_common_cipher(props: Props) -> Cause:
    context = props.server()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    # For certificates with another kind of key.
    context.set_ciphers("ECDHE-RSA-AES256-GCM-SHA384")
    return props.tls_failure(context, props.trusting)


def _callback(props: Props) -> Cause:
    props.broker.script = Script(after_suback=packets.publish(5, "a", b"x"))
    attempt = props.open_try(spec_for(props.broker.port, subscriptions=ANYTHING))
    attempt.on_message = lambda _message: 1 // 0
    return attempt.loss()


def _not_connected(props: Props) -> Cause:
    attempt = props.open_try(spec_for(free_port()))
    attempt.failure()
    return _publish(attempt)


def _publish(attempt: Try, payload: bytes = b"") -> Cause:
    told: list[Cause | None] = []
    for _ in range(200):
        attempt.session.publish(OutboundMessage("a", payload), told.append)
    while len(told) < 200:
        gevent.sleep(0.005)
    refused = [why for why in told if why]
    assert refused
    return refused[0]


def _write_blocked(props: Props) -> Cause:
    with DeafBroker() as broker:
        attempt = props.open_try(spec_for(broker.port, status_topic=""))
        attempt.opened()
        why = _publish(attempt, bytes(100_000))
        attempt.session.abort()
        return why


def _violation(props: Props) -> Cause:
    return props.loss(Script(after_suback=b"\0\0"), subscriptions=ANYTHING)


def _unknown_host(props: Props) -> Cause:
    return props.open_try(spec_for(1883, host="nothing.invalid")).failure()


def _at(host: str) -> Scene:
    return lambda props: props.open_try(spec_for(1883, host=host)).failure()


def _opened(network: str, host: str) -> Scene:
    """Play at a host that is refused by default; the rule must name it."""

    def play(props: Props) -> Cause:
        before = destinations.current()
        destinations.configure(destinations.Rule(destinations.networks_of(network)))
        try:
            return _at(host)(props)
        finally:
            destinations.configure(before)

    return play


def _tls(pair: str, *, ca: str = "ca") -> Scene:
    def play(props: Props) -> Cause:
        trusted = getattr(props.certificates, ca).certificate_pem
        server = props.server(getattr(props.certificates, pair))
        return props.tls_failure(server, TLSSettings(ca_pem=trusted))

    return play


def _fault(name: str) -> Scene:
    """Play a fault of `test_certificate_faults`."""

    def play(props: Props) -> Cause:
        ca, shown = FAULTS[name][1]()
        with ScriptedBroker(tls=serving(*shown)) as server:
            trusting = TLSSettings(ca_pem=ca.pem)
            return props.open_try(spec_for(server.port, host="localhost", tls=trusting)).failure()

    return play


#: CONNACK is where most codes of the wire are said; a few belong to a DISCONNECT alone.
ON_THE_WIRE: dict[str, Scene] = {
    **{name: _refusal(code, "3.1.1") for code, name in CONNACK_311.items()},
    **{name: _refusal(code, "5") for code, name in REASON_CODES_5.items() if code >= 0x80},
    **{
        REASON_CODES_5[code]: _last_words(code)
        for code in (0x00, 0x8B, 0x8D, 0x8E, 0x93, 0x94, 0x96, 0x98, 0xA0)
    },
}

SCENES: dict[str, Scene] = {
    **ON_THE_WIRE,
    "dns_failed": _unknown_host,
    # Linux would take it for this machine.
    "address_not_allowed": _at("0.0.0.0"),
    "tcp_refused": lambda props: props.open_try(spec_for(free_port())).failure(),
    "tcp_timeout": _tcp_timeout,
    # TCP goes to no broadcast address, and a link-local one lacks its interface.
    "network_unreachable": _opened("255.255.255.255", "255.255.255.255"),
    "tcp_failed": _opened("fe80::/10", "fe80::1"),
    "too_many_open_files": _too_many_open_files,
    "tls_unknown_ca": _tls("server", ca="other_ca"),
    "tls_expired": _tls("expired_server"),
    "tls_name_mismatch": _tls("wrong_name_server"),
    "tls_not_yet_valid": _fault("not yet valid"),
    "tls_key_too_weak": _fault("short key"),
    "tls_signature_too_weak": _fault("SHA-1"),
    "tls_wrong_purpose": _fault("for clients"),
    "tls_ca_invalid": _fault("CA:FALSE"),
    "tls_chain_too_long": _fault("path length"),
    "tls_certificate_invalid": _fault("critical and unheard of"),
    "tls_client_cert_rejected": _client_certificate,
    "tls_expected": lambda props: props.tls_failure(props.server(), None),
    "plain_expected": lambda props: props.failure(scripts.GOOD, tls=props.trusting),
    "not_mqtt": lambda props: props.failure(
        Script(instead_of_connack=b"HTTP/1.1 400 Bad Request\r\n\r\n")
    ),
    "tls_version": _old_tls,
    "tls_failed": _no_common_cipher,
    "tls_timeout": lambda props: props.failure(
        scripts.SILENT, tls=props.trusting, connect_timeout_s=BRIEF
    ),
    "config_error": lambda props: props.failure(scripts.GOOD, tls=TLSSettings(ca_pem="no PEM")),
    "connack_timeout": lambda props: props.failure(scripts.NO_CONNACK, connect_timeout_s=BRIEF),
    "closed_before_connack": lambda props: props.failure(scripts.CLOSE_BEFORE_CONNACK),
    "suback_timeout": lambda props: props.failure(
        scripts.NO_SUBACK, subscriptions=ANYTHING, connect_timeout_s=BRIEF
    ),
    "keepalive_timeout": lambda props: props.loss(scripts.NO_PINGRESP, keepalive_s=1),
    "write_blocked": _write_blocked,
    "peer_closed": lambda props: props.loss(scripts.close_after(0.05)),
    "connection_reset": lambda props: props.loss(scripts.close_after(0.05, reset=True)),
    "packet_too_large": lambda props: props.loss(
        scripts.oversize(2**28 - 1), subscriptions=ANYTHING
    ),
    "protocol_error": _violation,
    "internal_error": _callback,
    "not_connected": _not_connected,
}
