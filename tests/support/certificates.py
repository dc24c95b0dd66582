"""Certificates for TLS tests: a CA, servers good and bad, clients known and unknown."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.mosquitto import ServerTls

YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its private key, as files."""

    certificate: Path
    key: Path

    @property
    def certificate_pem(self) -> str:
        """The certificate as an operator pastes it."""
        return self.certificate.read_text(encoding="ascii")

    @property
    def key_pem(self) -> str:
        """The key as an operator pastes it."""
        return self.key.read_text(encoding="ascii")


class Authority:
    """A certificate authority that keeps its files, and those it issues, in `directory`."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(self._name, self._key.public_key(), self._name, datetime.now(UTC), YEAR)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(_ca_usage(), True)
        self.pair = self._write(name, builder, self._key)

    def issue(
        self,
        name: str,
        *,
        hosts: tuple[str, ...] = (),
        start: datetime | None = None,
        valid: timedelta = YEAR,
    ) -> Pair:
        """Return a new pair: for a server if `hosts` are given, else for a client."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        first = start or datetime.now(UTC) - timedelta(hours=1)
        builder = _builder(subject, key.public_key(), self._name, first, valid)
        issuer_key = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer_key, False)
        usage = ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), False)
        if hosts:
            names = x509.SubjectAlternativeName(map(_general_name, hosts))
            builder = builder.add_extension(names, False)
        return self._write(name, builder, key)

    def _write(
        self, name: str, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey
    ) -> Pair:
        certificate = builder.sign(self._key, hashes.SHA256())
        pair = Pair(self._directory / f"{name}.crt", self._directory / f"{name}.key")
        pair.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        pair.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return pair


class Certificates:
    """One of each kind that a TLS test asks for."""

    def __init__(self, directory: Path) -> None:
        authority = Authority(directory, "authority")
        stranger = Authority(directory, "stranger")
        local = ("localhost", "127.0.0.1")
        self.ca = authority.pair
        #: A CA that signed none of the servers.
        self.other_ca = stranger.pair
        self.server = authority.issue("server", hosts=local)
        self.expired_server = authority.issue(
            "expired-server",
            hosts=local,
            start=datetime.now(UTC) - 2 * YEAR,
        )
        self.wrong_name_server = authority.issue("wrong-name", hosts=("broker.example",))
        self.client = authority.issue("client")
        self.expired_client = authority.issue("expired-client", start=datetime.now(UTC) - 2 * YEAR)
        #: A client certificate that the server's CA does not know.
        self.stranger_client = stranger.issue("stranger-client")

    def tls(
        self, server: Pair | None = None, *, require_client_certificate: bool = False
    ) -> ServerTls:
        """Return what a listener needs to present `server`, the good one by default."""
        pair = server or self.server
        return ServerTls(
            self.ca.certificate, pair.certificate, pair.key, require_client_certificate
        )


def _builder(
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    issuer: x509.Name,
    start: datetime,
    valid: timedelta,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(start + valid)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _ca_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
