"""For which name a certificate must be: the host's, as certificates write it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

import pytest

from mqttworker.core.spec import TLSSettings
from tests.support.certificates import Certificates
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import spec_for

Names = list[str | None]


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What the resolver is asked for; every name leads to this machine."""
    asked: Names = []

    def answer(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    return asked


@pytest.fixture
def asked_for() -> Names:
    """The names that clients ask the broker for (SNI)."""
    return []


@pytest.fixture
def broker(certificates: Certificates, asked_for: Names) -> Iterator[ScriptedBroker]:
    """A broker whose certificate is for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server.certificate, certificates.server.key)
    context.sni_callback = lambda _socket, name, _context: asked_for.append(name)
    with ScriptedBroker(tls=context) as running:
        yield running


@pytest.mark.parametrize("host", ["localhost", "localhost.", "LocalHost."])
def test_the_dot_of_an_absolute_name_is_for_the_dns_alone(
    broker: ScriptedBroker,
    open_try: OpenTry,
    certificates: Certificates,
    looked_up: Names,
    asked_for: Names,
    host: str,
) -> None:
    trusting = TLSSettings(ca_pem=certificates.ca.certificate_pem)
    open_try(spec_for(broker.port, host=host, tls=trusting)).opened()
    assert looked_up[0] == host
    assert [str(name).lower() for name in asked_for] == ["localhost"]


def test_a_dot_makes_no_other_name_fit(
    broker: ScriptedBroker, open_try: OpenTry, certificates: Certificates, looked_up: Names
) -> None:
    trusting = TLSSettings(ca_pem=certificates.ca.certificate_pem)
    why = open_try(spec_for(broker.port, host="broker.example.", tls=trusting)).failure()
    assert why.code == "tls_name_mismatch"
    assert looked_up[0] == "broker.example."


def test_the_zone_of_an_address_is_for_this_machine_alone(
    broker: ScriptedBroker,
    open_try: OpenTry,
    certificates: Certificates,
    looked_up: Names,
    asked_for: Names,
) -> None:
    # The address is in no certificate; it must be compared as an address, not asked for as a name.
    trusting = TLSSettings(ca_pem=certificates.ca.certificate_pem)
    why = open_try(spec_for(broker.port, host="fe80::1%lo", tls=trusting)).failure()
    assert (why.code, why.raw_code) == ("tls_name_mismatch", 64)
    assert looked_up[0] == "fe80::1%lo"
    assert asked_for == [None]
