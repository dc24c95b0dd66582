"""Every fault of a certificate has a reason of its own, and what OpenSSL alone knows is quoted."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from database.reasons import REASONS
from mqttworker.adapters.failures import Phase, error_cause
from mqttworker.adapters.tls import UnusableTLSError, make_context
from mqttworker.core import verdicts
from mqttworker.core.spec import TLSSettings
from mqttworker.core.verdicts import BEFORE_CONNECT
from tests.support.certificate_shapes import (
    DAY,
    IS_CA,
    IS_LAST_CA,
    IS_NO_CA,
    Extension,
    Holder,
    make,
    rsa_key,
    server,
    serving,
    usage,
    with_sha1,
)
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import spec_for

#: The CA in the record, and what the broker shows.
Shape = tuple[Holder, tuple[Holder, ...]]

FOR_CLIENTS: Extension = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
UNHEARD_OF: Extension = (
    x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True,
)  # fmt: skip
ELSEWHERE: Extension = (x509.NameConstraints([x509.DNSName("broker.example")], None), True)
TEN_DAYS_AGO = {"start": -10 * DAY, "valid": 5 * DAY}
IN_AN_HOUR = {"start": timedelta(hours=1)}


def _by(ca: Holder, *extensions: Extension, **options: object) -> Shape:
    return ca, (server(ca, *extensions, **options),)


def _ca(*extensions: Extension, **options: object) -> Holder:
    return make("CA", *(extensions or (IS_CA,)), **options)  # type: ignore[arg-type]


def _below(*extensions: Extension, **options: object) -> Shape:
    """An intermediate with these extensions between the root and the broker."""
    root = _ca()
    between = make("between", *extensions, issuer=root, **options)  # type: ignore[arg-type]
    return root, (server(between), between)


def _deep() -> Shape:
    root = _ca(IS_LAST_CA)
    between = make("between", IS_CA, issuer=root)
    return root, (server(between), between)


def _endless() -> Shape:
    chain = [_ca()]
    for number in range(102):
        chain.insert(0, make(f"CA {number}", IS_CA, issuer=chain[0]))
    return chain[-1], (server(chain[0]), *chain[:-1])


def _old_signature() -> Shape:
    ca = _ca(key=rsa_key(2048))
    return ca, (with_sha1(server(ca), ca),)


def _old_signature_between() -> Shape:
    root = _ca(key=rsa_key(2048))
    between = with_sha1(make("between", IS_CA, issuer=root), root)
    return root, (server(between), between)


FAULTS: dict[str, tuple[str, Callable[[], Shape]]] = {
    "short key": ("tls_key_too_weak", lambda: _by(_ca(), key=rsa_key(1024))),
    "short key of the CA": ("tls_key_too_weak", lambda: _by(_ca(key=rsa_key(1024)))),
    "SHA-1": ("tls_signature_too_weak", _old_signature),
    "SHA-1 of an intermediate": ("tls_signature_too_weak", _old_signature_between),
    "for clients": ("tls_wrong_purpose", lambda: _by(_ca(), FOR_CLIENTS)),
    "CA for clients": ("tls_wrong_purpose", lambda: _by(_ca(IS_CA, FOR_CLIENTS))),
    "for signing CRLs": ("tls_wrong_purpose", lambda: _by(_ca(), usage(crl_sign=True))),
    "CA:FALSE": ("tls_ca_invalid", lambda: _by(_ca(IS_NO_CA))),
    "CA without constraints": (
        "tls_ca_invalid",
        lambda: _by(_ca((x509.SubjectKeyIdentifier(b"1"), False))),
    ),
    "CA that may not sign": (
        "tls_ca_invalid",
        lambda: _by(_ca(IS_CA, usage(digital_signature=True))),
    ),
    "intermediate with CA:FALSE": ("tls_ca_invalid", lambda: _below(IS_NO_CA)),
    "path length": ("tls_chain_too_long", _deep),
    "a hundred CAs": ("tls_chain_too_long", _endless),
    "not yet valid": ("tls_not_yet_valid", lambda: _by(_ca(), **IN_AN_HOUR)),
    "CA not yet valid": ("tls_not_yet_valid", lambda: _by(_ca(**IN_AN_HOUR))),
    "expired": ("tls_expired", lambda: _by(_ca(), **TEN_DAYS_AGO)),
    "CA expired": ("tls_expired", lambda: _by(_ca(**TEN_DAYS_AGO))),
    "intermediate expired": ("tls_expired", lambda: _below(IS_CA, **TEN_DAYS_AGO)),
    "critical and unheard of": ("tls_certificate_invalid", lambda: _by(_ca(), UNHEARD_OF)),
    "name out of bounds": ("tls_certificate_invalid", lambda: _by(_ca(IS_CA, ELSEWHERE))),
}


@pytest.fixture
def met(request: pytest.FixtureRequest) -> Iterator[tuple[str, Holder, ScriptedBroker]]:
    """The reason that must be told, the CA of the record, and a broker with the fault."""
    reason, shape = FAULTS[request.param]
    ca, shown = shape()
    with ScriptedBroker(tls=serving(*shown)) as broker:
        yield reason, ca, broker


@pytest.mark.parametrize("met", FAULTS, indirect=True)
def test_each_fault_of_a_certificate_is_told_and_gets_no_connect(
    open_try: OpenTry, met: tuple[str, Holder, ScriptedBroker]
) -> None:
    reason, ca, broker = met
    spec = spec_for(broker.port, host="localhost", tls=TLSSettings(ca_pem=ca.pem))
    why = open_try(spec).failure()
    assert why.code == reason
    assert why.raw_code
    assert why.detail["error"] in str(why)
    assert broker.connects == []


@pytest.mark.parametrize("met", ["short key", "SHA-1", "for clients", "path length"], indirect=True)
def test_nothing_of_that_counts_where_nobody_looks(
    open_try: OpenTry, met: tuple[str, Holder, ScriptedBroker]
) -> None:
    _, _, broker = met
    open_try(spec_for(broker.port, tls=TLSSettings(verify=False))).opened()


def test_a_code_that_we_do_not_know_is_quoted_and_blames_no_ca_field() -> None:
    for number in (1, 7, 23, 28, 47, 51, 72, 95, 112, 999):
        error = ssl.SSLCertVerificationError()
        error.verify_code, error.verify_message = number, f"words of OpenSSL {number}"
        why = error_cause(error, Phase.TLS)
        assert (why.code, why.raw_code) == ("tls_certificate_invalid", number)
        assert f'"words of OpenSSL {number}"' in str(why)
    assert "field" not in REASONS["tls_certificate_invalid"].next_step


def test_a_date_that_does_not_fit_makes_people_look_at_the_clock() -> None:
    for code in ("tls_not_yet_valid", "tls_expired"):
        assert "clock of this machine" in REASONS[code].next_step


def test_a_broker_that_was_refused_in_the_handshake_has_had_no_connect() -> None:
    codes = {reason for reason, _ in FAULTS.values()}
    assert codes <= BEFORE_CONNECT
    # It is tried on like every other fault of TLS: whoever mends it need not tell us.
    assert not codes & (verdicts.REFUSALS | verdicts.FLAWS | verdicts.UNREACHABLE)


# --- our own certificate ------------------------------------------------------------------


def _own_short_key() -> tuple[Holder, Holder]:
    client = make("client", issuer=_ca(), key=rsa_key(1024))
    return client, client


def _own_old_signature() -> tuple[Holder, Holder]:
    ca = _ca(key=rsa_key(2048))
    client = with_sha1(make("client", issuer=ca), ca)
    return client, client


def _own_key_of_another() -> tuple[Holder, Holder]:
    return make("client"), make("another")


def _own_key_of_another_kind() -> tuple[Holder, Holder]:
    return make("client"), make("another", key=rsa_key(2048))


@pytest.mark.parametrize(
    ("own", "field", "words"),
    [
        (_own_short_key, "tls_client_cert_pem", "key is too short"),
        (_own_old_signature, "tls_client_cert_pem", "SHA-1"),
        (_own_key_of_another, "tls_client_key_pem", "does not belong"),
        (_own_key_of_another_kind, "tls_client_key_pem", "does not belong"),
    ],
)
def test_what_is_wrong_with_our_own_certificate_is_told_at_its_field(
    own: Callable[[], tuple[Holder, Holder]], field: str, words: str
) -> None:
    client, other = own()
    with pytest.raises(UnusableTLSError, match=words) as caught:
        make_context(TLSSettings(True, None, client.pem, other.key_pem))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("alert", "words"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "wants a client certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "has expired"),
        ("SSLV3_ALERT_CERTIFICATE_REVOKED", "is revoked"),
        ("TLSV1_ALERT_UNKNOWN_CA", "who signed"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "rejected"),
        ("SSLV3_ALERT_UNSUPPORTED_CERTIFICATE", "rejected"),
        ("SSLV3_ALERT_CERTIFICATE_UNKNOWN", "rejected"),
        ("TLSV1_ALERT_ACCESS_DENIED", "rejected"),
    ],
)
def test_what_a_broker_says_of_our_certificate_is_told(alert: str, words: str) -> None:
    error = ssl.SSLError()
    error.reason = alert
    why = error_cause(error, Phase.TLS)
    assert why.code == "tls_client_cert_rejected"
    assert words in str(why)
    assert alert in str(why)
