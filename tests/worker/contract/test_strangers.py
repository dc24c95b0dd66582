"""Whoever is no broker says something on its port: people are told so, never what it said.

Otherwise a record would be a way to read what other services on other machines answer.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import ssl
import threading
from collections.abc import Iterator

import pytest

from mqttworker.core.cause import completed
from mqttworker.core.spec import TLSSettings
from tests.support.certificates import Certificates
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import spec_for
from tests.worker.contract.test_reasons import KNOWN

BANNERS = {
    "SSH": b"SSH-2.0-OpenCanary_9.9 Canary-7\r\n",
    "SMTP": b"220 canary.example ESMTP Canary\r\n",
    "SMTP, busy": b"421-canary.example\r\n421 later\r\n",
    "HTTP": b"HTTP/1.1 400 Canary\r\nServer: canary\r\nContent-Length: 6\r\n\r\ncanary",
    "HTML": b"<html><head><title>400 canary</title></head></html>",
    "HTML 5": b"<!DOCTYPE HTML>\n<html lang=canary>",
    "AMQP": b"AMQP\x00\x00\x09\x01",
    "Redis": b"-ERR canary\r\n",
    "Redis, protected": b"-DENIED canary\r\n",
    "POP3": b"+OK canary ready <1@canary.example>\r\n",
    "IMAP": b"* OK canary ready\r\n",
    "NATS": b'INFO {"server_id":"CANARY"}\r\n',
    "text": b"canary\r\n",
    "IRC": b":canary.example NOTICE AUTH :***\r\n",
    "JSON": b'{"canary": 1}',
    "zeros": bytes(8) + b"canary",
    # The first bytes are those of a CONNACK, of a PUBLISH, of an alert in TLS.
    "CONNACK": b"\x20\x0a\x00canary-ca",
    "PUBLISH": b"\x30\x0d\x00\x06canaryCANARY",
    "alert": b"\x15\x03\x01\x00\x06canary",
}
#: How those are called that are known; the others that are no MQTT have no name.
NAMES = {
    "SSH": "SSH",
    "SMTP": "SMTP or FTP",
    "SMTP, busy": "SMTP or FTP",
    "HTTP": "HTTP or WebSocket",
    "HTML": "HTTP or WebSocket",
    "HTML 5": "HTTP or WebSocket",
    "AMQP": "AMQP",
    "Redis": "Redis",
    "Redis, protected": "Redis",
    "POP3": "POP3",
    "IMAP": "IMAP",
    "NATS": "NATS",
    "text": None,
    "IRC": None,
    "JSON": None,
    "zeros": None,
}

#: What people may be told. What begins like a packet that never ends is waited for.
MEANINGS = {
    "not_mqtt",
    "protocol_error",
    "connack_timeout",
    "plain_expected",
    "tls_expected",
    "tls_failed",
    "tls_timeout",
}


class _Greeting(socketserver.BaseRequestHandler):
    """Says its banner and listens until the other end hangs up."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.request.sendall(self.server.banner)  # type: ignore[attr-defined]
            while self.request.recv(4_096):
                pass


class _Server(socketserver.ThreadingTCPServer):
    # The client hangs up only when its hub runs again, after the test.
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def stranger(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that begins with the banner that the test names."""
    with _Server(("127.0.0.1", 0), _Greeting) as server:
        server.banner = BANNERS[request.param]  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield int(server.server_address[1])
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("stranger", BANNERS, indirect=True)
@pytest.mark.parametrize("tls", [None, TLSSettings(verify=False)], ids=["plain", "tls"])
def test_what_a_stranger_says_is_not_repeated(
    open_try: OpenTry, stranger: int, tls: TLSSettings | None
) -> None:
    why = open_try(spec_for(stranger, tls=tls)).failure()
    told = json.dumps([str(completed(why, dict.fromkeys(KNOWN, "x"))), dict(why.detail)])
    assert "canary" not in told.lower()
    assert b"canary".hex() not in told.lower()
    assert why.code in MEANINGS


@pytest.mark.parametrize("stranger", NAMES, indirect=True)
def test_a_stranger_is_told_by_what_it_speaks(
    open_try: OpenTry, stranger: int, request: pytest.FixtureRequest
) -> None:
    name = NAMES[request.node.callspec.params["stranger"]]
    for protocol in ("5", "3.1.1"):
        why = open_try(spec_for(stranger), protocol).failure()
        assert (why.code, why.detail.get("spoken")) == ("not_mqtt", name)
        words = str(completed(why, dict.fromkeys(KNOWN, "x")))
        assert (f"speaks {name}, not MQTT" if name else "is not MQTT") in words


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Write nothing: standard error belongs to the tests."""


@contextlib.contextmanager
def _web_server(tls: ssl.SSLContext | None) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        server.daemon_threads, server.block_on_close = True, False
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
def test_a_web_server_is_told_with_tls_and_without(
    open_try: OpenTry, certificates: Certificates, is_secure: bool
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if is_secure else None
    if context is not None:
        context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    trusting = TLSSettings(ca_pem=certificates.ca.certificate_pem) if is_secure else None
    with _web_server(context) as port:
        # What ends the line lets the server answer.
        spec = spec_for(port, tls=trusting, client_id="a\r\n\r\n")
        why = open_try(spec).failure()
    assert (why.code, why.detail["spoken"]) == ("not_mqtt", "HTTP or WebSocket")
