"""TLS: verified by default, every way to fail has its reason, and it stays small."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from asyncio import sslproto
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from gevent.event import Event as Signal

from mqttworker.adapters import tls
from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.adapters.dial import dial
from mqttworker.adapters.failures import Phase
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.tls import UnusableTLSError, make_context
from mqttworker.core.spec import SubscriptionSpec, TLSSettings
from tests.support import packets, scripts
from tests.support.certificates import Certificates, Pair
from tests.support.mosquitto import Mosquitto
from tests.support.process import free_port
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import in_thread, spec_for

QUICK = 1.0  # seconds


@pytest.fixture
def trusting(certificates: Certificates) -> TLSSettings:
    """Settings that trust the good server."""
    return TLSSettings(ca_pem=certificates.ca.certificate_pem)


@pytest.fixture
def secure(start_mosquitto: Callable[..., Mosquitto], certificates: Certificates) -> Mosquitto:
    """A broker with a good certificate."""
    return start_mosquitto(tls=certificates.tls())


@pytest.fixture
def demanding(start_mosquitto: Callable[..., Mosquitto], certificates: Certificates) -> Mosquitto:
    """A broker that wants a client certificate."""
    return start_mosquitto(tls=certificates.tls(require_client_certificate=True))


def _port(broker: Mosquitto) -> int:
    assert broker.tls_port is not None
    return broker.tls_port


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_the_given_ca_is_trusted(
    secure: Mosquitto, open_try: OpenTry, trusting: TLSSettings, protocol: str, host: str
) -> None:
    attempt = open_try(spec_for(_port(secure), host=host, tls=trusting), protocol)
    attempt.opened()
    assert attempt.close() < QUICK


def test_a_certificate_of_an_unknown_ca_is_refused(
    secure: Mosquitto, open_try: OpenTry, certificates: Certificates
) -> None:
    for ca in (None, certificates.other_ca.certificate_pem):
        why = open_try(spec_for(_port(secure), tls=TLSSettings(ca_pem=ca))).failure()
        assert why.code == "tls_unknown_ca"


@pytest.mark.parametrize(
    ("server", "reason"),
    [("expired_server", "tls_expired"), ("wrong_name_server", "tls_name_mismatch")],
)
def test_a_bad_certificate_is_refused_unless_nobody_looks(
    start_mosquitto: Callable[..., Mosquitto],
    open_try: OpenTry,
    certificates: Certificates,
    trusting: TLSSettings,
    server: str,
    reason: str,
) -> None:
    pair: Pair = getattr(certificates, server)
    broker = start_mosquitto(tls=certificates.tls(pair))
    why = open_try(spec_for(_port(broker), tls=trusting)).failure()
    assert why.code == reason
    assert why.raw_code
    open_try(spec_for(_port(broker), tls=TLSSettings(verify=False))).opened()


def test_a_known_client_certificate_is_accepted(
    demanding: Mosquitto, open_try: OpenTry, certificates: Certificates, trusting: TLSSettings
) -> None:
    client = certificates.client
    settings = TLSSettings(True, trusting.ca_pem, client.certificate_pem, client.key_pem)
    open_try(spec_for(_port(demanding), tls=settings)).opened()


def test_a_missing_or_unknown_client_certificate_is_named(
    demanding: Mosquitto, open_try: OpenTry, certificates: Certificates, trusting: TLSSettings
) -> None:
    stranger = certificates.stranger_client
    unknown = TLSSettings(True, trusting.ca_pem, stranger.certificate_pem, stranger.key_pem)
    for settings in (trusting, unknown):
        why = open_try(spec_for(_port(demanding), tls=settings)).failure()
        assert why.code == "tls_client_cert_rejected"


def test_tls_on_a_plain_port_is_told(
    mosquitto: Mosquitto, scripted_broker: ScriptedBroker, open_try: OpenTry, trusting: TLSSettings
) -> None:
    for port in (mosquitto.port, scripted_broker.port):
        why = open_try(spec_for(port, tls=trusting)).failure(QUICK)
        assert (why.code, why.certainty) == ("plain_expected", "inferred")


def test_a_web_server_on_a_tls_record_is_certain(open_try: OpenTry, trusting: TLSSettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        greeter = threading.Thread(target=_greet, args=(listener,))
        greeter.start()
        why = open_try(spec_for(listener.getsockname()[1], tls=trusting)).failure(QUICK)
        greeter.join()
    assert (why.code, why.certainty) == ("plain_expected", "certain")


def _greet(listener: socket.socket) -> None:
    """Say at once what is no TLS."""
    accepted, _ = listener.accept()
    with accepted:
        accepted.sendall(b"220 mail.example ESMTP\r\n")
        accepted.recv(1)


def test_plain_mqtt_on_a_tls_port_is_told_on_any_port(secure: Mosquitto, open_try: OpenTry) -> None:
    for _ in range(3):
        why = open_try(spec_for(_port(secure))).failure(QUICK)
        assert (why.code, why.certainty) == ("tls_expected", "inferred")


def test_a_tls_alert_in_place_of_the_connack_is_certain(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    scripted_broker.script = Script(instead_of_connack=b"\x15\x03\x01\0\x02\x02\x46")
    why = open_try(spec_for(scripted_broker.port)).failure(QUICK)
    assert (why.code, why.certainty) == ("tls_expected", "certain")
    assert len(scripted_broker.sessions) == 1


@pytest.mark.timing
def test_a_silent_tls_peer_is_given_up_at_the_deadline(
    scripted_broker: ScriptedBroker, open_try: OpenTry, trusting: TLSSettings
) -> None:
    scripted_broker.script = scripts.SILENT
    attempt = open_try(spec_for(scripted_broker.port, tls=trusting, connect_timeout_s=0.5))
    assert attempt.failure().code == "tls_timeout"
    assert time.monotonic() - attempt.started_at < 0.8
    in_thread(scripted_broker.wait, lambda: not scripted_broker.open_now, 1.0)


def test_a_refused_port_is_refused_with_tls_too(open_try: OpenTry, trusting: TLSSettings) -> None:
    assert open_try(spec_for(free_port(), tls=trusting)).failure(QUICK).code == "tcp_refused"


def test_a_takeover_over_tls_is_reported_once(
    open_try: OpenTry, certificates: Certificates, trusting: TLSSettings
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    with ScriptedBroker(scripts.taken_over(0.05), context) as broker:
        attempt = open_try(spec_for(broker.port, tls=trusting))
        assert attempt.loss(QUICK).code == "session_taken_over"
        in_thread(broker.wait, lambda: not broker.open_now)
        assert len(attempt.events) == 2


# --- PEM that OpenSSL cannot use ----------------------------------------------------------


def _locked(pair: Pair) -> str:
    key = load_pem_private_key(pair.key_pem.encode(), None)
    lock = BestAvailableEncryption(b"secret")
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock).decode()


@pytest.mark.timeout(10)
def test_a_locked_key_does_not_ask_on_the_terminal(
    open_try: OpenTry, certificates: Certificates, scripted_broker: ScriptedBroker
) -> None:
    client = certificates.client
    settings = TLSSettings(True, None, client.certificate_pem, _locked(client))
    why = open_try(spec_for(scripted_broker.port, tls=settings)).failure()
    assert (why.code, why.detail["field"]) == ("config_error", "tls_client_key_pem")
    assert scripted_broker.sessions == []


def test_pem_that_openssl_cannot_use_is_named(certificates: Certificates) -> None:
    client, other = certificates.client, certificates.server
    with pytest.raises(UnusableTLSError) as caught:
        make_context(TLSSettings(ca_pem="no PEM"))
    assert caught.value.field == "tls_ca_pem"
    with pytest.raises(UnusableTLSError) as caught:
        make_context(TLSSettings(True, None, client.certificate_pem, other.key_pem))
    assert caught.value.field == "tls_client_key_pem"


def test_verification_is_on_unless_it_is_turned_off() -> None:
    context = make_context(TLSSettings())
    assert context.check_hostname
    assert context.verify_mode is ssl.CERT_REQUIRED
    context = make_context(TLSSettings(verify=False))
    assert not context.check_hostname
    assert context.verify_mode is ssl.CERT_NONE


def test_two_records_with_equal_settings_share_a_context(
    secure: Mosquitto, transport: BrokerTransport, open_try: OpenTry, trusting: TLSSettings
) -> None:
    for _ in range(3):
        open_try(spec_for(_port(secure), tls=trusting)).opened()
    assert list(transport._around.contexts._contexts) == [trusting]


# --- memory -------------------------------------------------------------------------------


@pytest.fixture
def small_buffers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make TLS connections small, as the worker does at its start."""
    monkeypatch.setattr(sslproto.SSLProtocol, "max_size", sslproto.SSLProtocol.max_size)
    tls.shrink_buffers()


@pytest.mark.usefixtures("small_buffers")
def test_a_tls_connection_reserves_little_and_takes_large_packets(
    open_try: OpenTry, certificates: Certificates, trusting: TLSSettings
) -> None:
    # asyncio's own name for it; without it a connection costs 256 KiB.
    assert sslproto.SSLProtocol.max_size == tls.TLS_READ_BUFFER
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    payload = bytes(range(256)) * 4000
    script = Script(after_suback=packets.publish(5, "a", payload))
    with ScriptedBroker(script, context) as broker:
        subscriptions = (SubscriptionSpec("a", 0),)
        attempt = open_try(spec_for(broker.port, tls=trusting, subscriptions=subscriptions))
        attempt.opened()
        attempt.wait(lambda: attempt.messages)
        assert attempt.messages[0].payload == payload
        protocol = attempt.session._client._connection._transport._ssl_protocol  # type: ignore[attr-defined]
        assert len(protocol._ssl_buffer) == tls.TLS_READ_BUFFER


def test_a_client_key_is_in_no_file_that_a_killed_worker_would_leave(
    certificates: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    links: list[int] = []
    load = ssl.SSLContext.load_cert_chain

    def look_and_load(self: ssl.SSLContext, path: str, *rest: Any, **options: Any) -> None:
        links.append(Path(path).stat().st_nlink)
        load(self, path, *rest, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", look_and_load)
    client = certificates.client
    before = len(list(Path("/proc/self/fd").iterdir()))
    make_context(TLSSettings(True, None, client.certificate_pem, client.key_pem))
    assert links == [0], "the file has a name"
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_try_that_ends_while_it_listens_for_the_first_bytes_leaves_no_socket(
    hub_loop: HubLoop, certificates: Certificates, trusting: TLSSettings
) -> None:
    def enter(phase: Phase) -> None:
        if phase is Phase.CONNACK:
            # The broker's tickets are there to be read by now; then the time is up.
            time.sleep(0.1)
            task = asyncio.current_task()
            assert task is not None
            task.cancel()

    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(certificates.server.certificate, certificates.server.key)
    with ScriptedBroker(tls=server) as broker:
        spec = spec_for(broker.port, host="localhost", tls=trusting)
        context = make_context(trusting)
        over = Signal()

        def begin() -> None:
            trying = hub_loop.loop.create_task(dial(spec, context, asyncio.Protocol, enter))
            trying.add_done_callback(lambda _task: over.set())

        hub_loop.call(begin)
        assert over.wait(5.0)
        in_thread(broker.wait, lambda: broker.sessions and not broker.open_now, 3.0)
