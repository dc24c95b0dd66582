"""Which certificates are trusted: decided by us, alike on every version of Python."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from mqttworker.adapters.tls import CIPHERS, make_context
from mqttworker.core.spec import TLSSettings
from tests.support.certificate_shapes import (
    IS_CA,
    IS_LAST_CA,
    IS_NO_CA,
    Holder,
    as_version_1,
    files,
    make,
    rsa_key,
    server,
    serving,
    with_sha1,
)
from tests.support.mosquitto import Mosquitto, ServerTls
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import spec_for

#: What stands in the CA field, and what the broker shows.
Shape = tuple[tuple[Holder, ...], tuple[Holder, ...]]


def _home_made() -> Shape:
    """A CA as most manuals make it: no key usage, no key identifiers."""
    ca = make("CA", IS_CA)
    return (ca,), (server(ca),)


def _with_key_identifier() -> Shape:
    """The CA names its key, the broker's certificate does not name the CA's."""
    key = rsa_key(2048)
    ca = make("CA", IS_CA, (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
              key=key)  # fmt: skip
    return (ca,), (server(ca),)


def _constraints_not_critical() -> Shape:
    ca = make("CA", (x509.BasicConstraints(True, None), False))
    return (ca,), (server(ca),)


def _version_1() -> Shape:
    ca = as_version_1(make("CA"))
    return (ca,), (server(ca),)


def _root_with_sha1() -> Shape:
    """Nobody checks the signature of a root: it is trusted as it is."""
    ca = make("CA", IS_CA, key=rsa_key(2048))
    ca = with_sha1(ca, ca)
    return (ca,), (server(ca),)


def _root() -> Shape:
    root = make("root", IS_CA)
    between = make("between", IS_LAST_CA, issuer=root)
    return (root,), (server(between), between)


def _only_the_intermediate() -> Shape:
    between = make("between", IS_LAST_CA, issuer=make("root", IS_CA))
    return (between,), (server(between), between)


def _intermediate_that_is_not_sent() -> Shape:
    root = make("root", IS_CA)
    between = make("between", IS_LAST_CA, issuer=root)
    return (root, between), (server(between),)


def _the_certificate_itself() -> Shape:
    shown = server(make("CA", IS_CA))
    return (shown,), (shown,)


def _self_signed() -> Shape:
    shown = server()
    return (shown,), (shown,)


def _self_signed_and_no_ca() -> Shape:
    shown = server(None, IS_NO_CA)
    return (shown,), (shown,)


def _common_name_alone() -> Shape:
    ca = make("CA", IS_CA)
    return (ca,), (make("localhost", issuer=ca),)


TRUSTED: tuple[Callable[[], Shape], ...] = (
    _home_made,
    _with_key_identifier,
    _constraints_not_critical,
    _version_1,
    _root_with_sha1,
    _root,
    _only_the_intermediate,
    _intermediate_that_is_not_sent,
    _the_certificate_itself,
    _self_signed,
    _self_signed_and_no_ca,
    _common_name_alone,
)


def _settings(trusted: tuple[Holder, ...]) -> TLSSettings:
    return TLSSettings(ca_pem="".join(each.pem for each in trusted))


@pytest.mark.parametrize("shape", TRUSTED)
def test_what_a_record_names_as_its_ca_is_trusted(
    start_mosquitto: Callable[..., Mosquitto],
    open_try: OpenTry,
    tmp_path: Path,
    shape: Callable[[], Shape],
) -> None:
    trusted, shown = shape()
    pair = files(tmp_path, *shown)
    broker = start_mosquitto(tls=ServerTls(pair.certificate, pair.certificate, pair.key))
    assert broker.tls_port
    open_try(spec_for(broker.tls_port, host="localhost", tls=_settings(trusted))).opened()


def _name_beside_another() -> Shape:
    """With alternative names the common name counts no more."""
    other = (x509.SubjectAlternativeName([x509.DNSName("broker.example")]), False)
    ca = make("CA", IS_CA)
    return (ca,), (make("localhost", other, issuer=ca),)


def _intermediate_that_nobody_has() -> Shape:
    root = make("root", IS_CA)
    return (root,), (server(make("between", IS_CA, issuer=root)),)


def _another_self_signed() -> Shape:
    return (server(),), (server(),)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        (_name_beside_another, "tls_name_mismatch"),
        (_intermediate_that_nobody_has, "tls_unknown_ca"),
        (_another_self_signed, "tls_unknown_ca"),
    ],
)
def test_what_a_record_does_not_name_is_not_trusted(
    open_try: OpenTry, shape: Callable[[], Shape], reason: str
) -> None:
    trusted, shown = shape()
    with ScriptedBroker(tls=serving(*shown)) as broker:
        spec = spec_for(broker.port, host="localhost", tls=_settings(trusted))
        assert open_try(spec).failure().code == reason
        assert broker.connects == []


@pytest.mark.parametrize("shape", [_home_made, _only_the_intermediate])
def test_the_systems_bundle_is_looked_at_with_the_same_rules(
    open_try: OpenTry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shape: Callable[[], Shape],
) -> None:
    trusted, shown = shape()
    bundle = tmp_path / "bundle.pem"
    bundle.write_text("".join(each.pem for each in trusted), encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    with ScriptedBroker(tls=serving(*shown)) as broker:
        open_try(spec_for(broker.port, host="localhost", tls=TLSSettings())).opened()


@pytest.mark.parametrize("verify", [True, False])
def test_no_rule_is_left_to_the_version_of_python(
    monkeypatch: pytest.MonkeyPatch, verify: bool
) -> None:
    def strange(*_: object, **__: object) -> ssl.SSLContext:
        pytest.fail("the defaults of this Python were taken")

    monkeypatch.setattr(ssl, "create_default_context", strange)
    context = make_context(TLSSettings(verify))
    flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
    assert context.verify_flags == flags
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert context.maximum_version is ssl.TLSVersion.MAXIMUM_SUPPORTED
    assert context.hostname_checks_common_name
    assert CIPHERS.startswith("@SECLEVEL=2:")
    assert {cipher["protocol"] for cipher in context.get_ciphers()} == {"TLSv1.2", "TLSv1.3"}
    assert not {cipher["name"] for cipher in context.get_ciphers() if cipher["digest"] == "SHA1"}
