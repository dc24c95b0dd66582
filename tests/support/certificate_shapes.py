"""Certificates of every shape that home-made ones have, good and bad."""

from __future__ import annotations

import ssl
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from tests.support.certificates import Pair

DAY = timedelta(days=1)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
Extension = tuple[x509.ExtensionType, bool]

IS_CA: Extension = (x509.BasicConstraints(True, None), True)
IS_LAST_CA: Extension = (x509.BasicConstraints(True, 0), True)
IS_NO_CA: Extension = (x509.BasicConstraints(False, None), True)
LOCALHOST: Extension = (x509.SubjectAlternativeName([x509.DNSName("localhost")]), False)

_SHA256_WITH_RSA = bytes.fromhex("2a864886f70d01010b")
_SHA1_WITH_RSA = bytes.fromhex("2a864886f70d010105")
_VERSION_3 = bytes.fromhex("a003020102")


@dataclass(frozen=True, slots=True)
class Holder:
    """A certificate and the key that belongs to it."""

    key: Key
    certificate: x509.Certificate

    @property
    def pem(self) -> str:
        """The certificate as an operator pastes it."""
        return self.certificate.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def key_pem(self) -> str:
        """The key as an operator pastes it."""
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.key.private_bytes(*form).decode("ascii")


def usage(**allowed: bool) -> Extension:
    """Return a key usage that allows only what is named."""
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{**dict.fromkeys(names, False), **allowed}), True


def curve_key() -> Key:
    """Return a new key on a usual curve."""
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """Return an RSA key of this length, the same for all: making one takes long."""
    return rsa.generate_private_key(65_537, bits)


def make(
    name: str,
    *extensions: Extension,
    issuer: Holder | None = None,
    key: Key | None = None,
    start: timedelta = -DAY,
    valid: timedelta = 90 * DAY,
) -> Holder:
    """Return a certificate by `issuer`, by itself without one; `start` counts from now."""
    key = key or curve_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = issuer.certificate.subject if issuer else subject
    first = datetime.now(UTC) + start
    builder = x509.CertificateBuilder(signer, subject, key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(first).not_valid_after(first + valid)
    for extension, is_critical in extensions:
        builder = builder.add_extension(extension, is_critical)
    return Holder(key, builder.sign(issuer.key if issuer else key, hashes.SHA256()))


def server(issuer: Holder | None = None, *extensions: Extension, **options: object) -> Holder:
    """Return a certificate for localhost."""
    return make("localhost", LOCALHOST, *extensions, issuer=issuer, **options)  # type: ignore[arg-type]


def as_version_1(holder: Holder) -> Holder:
    """Return a self-signed certificate without extensions as version 1, as roots once were."""
    body = holder.certificate.tbs_certificate_bytes
    content = body[body.index(_VERSION_3) + len(_VERSION_3) :]
    assert isinstance(holder.key, ec.EllipticCurvePrivateKey)
    new = _sequence(content)
    return _signed_anew(holder, new, holder.key.sign(new, ec.ECDSA(hashes.SHA256())))


def with_sha1(holder: Holder, issuer: Holder) -> Holder:
    """Return a certificate with a SHA-1 signature, which cryptography makes no more."""
    assert isinstance(issuer.key, rsa.RSAPrivateKey)
    body = holder.certificate.tbs_certificate_bytes.replace(_SHA256_WITH_RSA, _SHA1_WITH_RSA)
    signature = issuer.key.sign(body, padding.PKCS1v15(), hashes.SHA1())
    return _signed_anew(holder, body, signature, _SHA1_WITH_RSA)


def _signed_anew(
    holder: Holder, body: bytes, signature: bytes, algorithm: bytes = _SHA256_WITH_RSA
) -> Holder:
    old = holder.certificate
    der = old.public_bytes(Encoding.DER)
    # Between the body and the signature, which is a bit string at the end.
    start = der.index(old.tbs_certificate_bytes) + len(old.tbs_certificate_bytes)
    middle = der[start : start + 2 + der[start + 1]].replace(_SHA256_WITH_RSA, algorithm)
    new = _sequence(body + middle + _encoded(0x03, b"\0" + signature))
    return Holder(holder.key, x509.load_der_x509_certificate(new))


def _sequence(content: bytes) -> bytes:
    return _encoded(0x30, content)


def _encoded(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def files(directory: Path, *chain: Holder) -> Pair:
    """Return the chain of a server and the key of its first certificate, as files."""
    pair = Pair(directory / "chain.crt", directory / "chain.key")
    pair.certificate.write_text("".join(each.pem for each in chain), encoding="ascii")
    pair.key.write_text(chain[0].key_pem, encoding="ascii")
    return pair


def serving(*chain: Holder) -> ssl.SSLContext:
    """Return a TLS server that presents `chain`, weak ones too."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with tempfile.TemporaryDirectory() as directory:
        pair = files(Path(directory), *chain)
        context.load_cert_chain(pair.certificate, pair.key)
    return context
