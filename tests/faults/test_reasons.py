"""Row B16: every way that TLS can fail is refused, told apart, and never goes on without TLS."""

from __future__ import annotations

import socket
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from database.reasons import next_step
from database.words import ConnectionState as State
from tests.faults.conftest import Note
from tests.faults.oracle import Oracle
from tests.faults.stage import TOLD_WITHIN, Stage, Subject
from tests.support.certificates import Certificates, Pair
from tests.support.process import HOST
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import GOOD, SILENT

#: How long a handshake may take that stalls, seconds.
TIMEOUT = 2


def _server(pair: Pair, *, asks_for: Pair | None = None) -> ssl.SSLContext:
    """Return a TLS server that presents `pair` and wants certificates that `asks_for` signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if asks_for is not None:
        context.load_verify_locations(asks_for.certificate)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _old(pair: Pair) -> ssl.SSLContext:
    """Return a server that knows nothing after TLS 1.1."""
    context = _server(pair)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        # Python warns about versions that nobody should use; that is the point.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


@dataclass(frozen=True, slots=True)
class Fault:
    """A server, what the record says, and the reason that must be told."""

    reason: str
    server: ssl.SSLContext | None
    columns: dict[str, Any] = field(default_factory=dict)


def _faults(known: Certificates) -> dict[str, Fault]:
    good, picky = _server(known.server), _server(known.server, asks_for=known.ca)
    trusting = {"tls": True, "tls_ca_pem": known.ca.certificate_pem}

    def with_client(pair: Pair) -> dict[str, Any]:
        pem = {"tls_client_cert_pem": pair.certificate_pem, "tls_client_key_pem": pair.key_pem}
        return {**trusting, **pem}

    stranger = {"tls": True, "tls_ca_pem": known.other_ca.certificate_pem}
    return {
        "expired": Fault("tls_expired", _server(known.expired_server), trusting),
        "wrong name": Fault("tls_name_mismatch", _server(known.wrong_name_server), trusting),
        "wrong CA": Fault("tls_unknown_ca", good, stranger),
        "no CA": Fault("tls_unknown_ca", good, {"tls": True}),
        "self-signed": Fault("tls_unknown_ca", _server(known.other_ca), trusting),
        "client certificate missing": Fault("tls_client_cert_rejected", picky, trusting),
        "client certificate unknown": Fault(
            "tls_client_cert_rejected", picky, with_client(known.stranger_client)
        ),
        "client certificate expired": Fault(
            "tls_client_cert_rejected", picky, with_client(known.expired_client)
        ),
        "TLS 1.1 only": Fault("tls_version", _old(known.server), trusting),
        "plain at a TLS port": Fault("tls_expected", good),
        "TLS at a plain port": Fault("plain_expected", None, trusting),
    }


#: Named here, as the certificates are made only when the tests run.
NAMES = (
    "expired", "wrong name", "wrong CA", "no CA", "self-signed", "client certificate missing",
    "client certificate unknown", "client certificate expired", "TLS 1.1 only",
    "plain at a TLS port", "TLS at a plain port",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """A record and the broker that it meets."""

    fault: Fault
    broker: ScriptedBroker
    subject: Subject


Cast = dict[str, Part]


@pytest.fixture(scope="module")
def cast(stage: Stage, certificates: Certificates) -> Iterator[Cast]:
    """Every fault at once."""
    with ExitStack() as brokers, Oracle(stage) as oracle:
        parts: Cast = {}
        for name, fault in _faults(certificates).items():
            broker = brokers.enter_context(ScriptedBroker(GOOD, fault.server))
            parts[name] = Part(fault, broker, oracle.add(broker.port, **fault.columns))
        yield parts


@pytest.mark.parametrize("name", NAMES)
def test_b16_each_fault_of_tls_is_told_in_words_and_never_gets_a_connect(
    cast: Cast, name: str
) -> None:
    part = cast[name]
    said = part.subject.wait(None, part.fault.reason)
    assert "{" not in said["reason"]
    assert next_step(part.fault.reason)
    assert said["state"] in {State.BACKOFF, State.CONNECTING}
    # Nothing that a login could be read from went out.
    assert part.broker.connects == []


def test_b16_the_names_are_all_and_the_words_tell_them_apart(cast: Cast) -> None:
    assert tuple(cast) == NAMES
    words = {
        part.fault.reason: part.subject.wait(None, part.fault.reason)["reason"]
        for part in cast.values()
    }
    assert len(set(words.values())) == len(words) == 7


def test_b16_a_handshake_that_stalls_ends_at_the_deadline(
    oracle: Oracle, certificates: Certificates, note: Note
) -> None:
    with ScriptedBroker(SILENT, _server(certificates.server)) as broker:
        ca = certificates.ca.certificate_pem
        subject = oracle.add(broker.port, tls=True, tls_ca_pem=ca, connect_timeout_s=TIMEOUT)
        subject.wait(None, "tls_timeout", TIMEOUT + TOLD_WITHIN)
        first = broker.sessions[0]
        assert first.closed_at is not None
        assert first.closed_at - first.opened_at == pytest.approx(TIMEOUT, abs=0.5)
        note("B16", f"stalled handshake, deadline {TIMEOUT} s: gives up after",
             first.closed_at - first.opened_at, "s")  # fmt: skip


def test_b16_a_certificate_that_is_changed_counts_from_the_next_session_on(
    oracle: Oracle, certificates: Certificates
) -> None:
    context = _server(certificates.server)
    with ScriptedBroker(GOOD, context) as broker:
        subject = oracle.add(broker.port, tls=True, tls_ca_pem=certificates.ca.certificate_pem)
        subject.wait(State.CONNECTED)
        _present(context, certificates.expired_server)
        time.sleep(1.0)
        assert subject.told()["state"] == State.CONNECTED
        broker.sessions[0].close()
        subject.wait(None, "tls_expired")
        assert len(broker.connects) == 1
        _present(context, certificates.server)
        subject.wait(State.CONNECTED, seconds=30.0)


def _present(context: ssl.SSLContext, pair: Pair) -> None:
    context.load_cert_chain(pair.certificate, pair.key)


def test_b16_tls_that_answers_plain_mqtt_is_certain(oracle: Oracle) -> None:
    with socket.create_server((HOST, 0)) as listener:
        subject = oracle.add(listener.getsockname()[1])
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(1000)
            accepted.sendall(b"\x15\x03\x03\x00\x02\x02\x46")
            subject.wait(None, "tls_expected")
        assert "answered plain MQTT with TLS" in subject.told()["reason"]
        assert subject.status().certainty == "certain"
