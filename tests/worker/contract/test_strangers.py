"""Whoever is no broker says something on its port: people are told so, never what it said.

Otherwise a record would be a way to read what other services on other machines answer.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Iterator

import pytest

from mqttworker.core.cause import completed
from mqttworker.core.spec import TLSSettings
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import spec_for
from tests.worker.contract.test_reasons import KNOWN

BANNERS = {
    "SSH": b"SSH-2.0-OpenCanary_9.9 Canary-7\r\n",
    "SMTP": b"220 canary.example ESMTP Canary\r\n",
    "HTTP": b"HTTP/1.1 400 Canary\r\nServer: canary\r\nContent-Length: 6\r\n\r\ncanary",
    "Redis": b"-ERR canary\r\n",
    "POP3": b"+OK canary ready <1@canary.example>\r\n",
    # The first bytes are those of a CONNACK, of a PUBLISH, of an alert in TLS.
    "CONNACK": b"\x20\x0acanary-can",
    "PUBLISH": b"\x30\x0d\x00\x06canaryCANARY",
    "alert": b"\x15\x03\x01\x00\x06canary",
}

#: What people may be told. What begins like a packet that never ends is waited for.
MEANINGS = {"protocol_error", "connack_timeout", "plain_expected", "tls_expected", "tls_failed"}


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
    why = open_try(spec_for(stranger, tls=tls, connect_timeout_s=0.5)).failure()
    told = json.dumps([str(completed(why, dict.fromkeys(KNOWN, "x"))), dict(why.detail)])
    assert "canary" not in told.lower()
    assert b"canary".hex() not in told.lower()
    assert why.code in MEANINGS
