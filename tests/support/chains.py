"""A client certificate with the certificates above it, as objects and as PEM text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

YEAR = timedelta(days=365)


class Issued:
    """A certificate with its key, issued by another or by itself."""

    def __init__(
        self,
        name: str,
        issuer: Issued | None = None,
        *,
        valid: timedelta = YEAR,
        key: ec.EllipticCurvePrivateKey | None = None,
        is_ca: bool = True,
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        end = datetime.now(UTC) + valid
        builder = x509.CertificateBuilder(
            (issuer or self).name,
            self.name,
            self.key.public_key(),
            x509.random_serial_number(),
            min(end, datetime.now(UTC)) - YEAR,
            end,
        ).add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), True)
        self.certificate = builder.sign((issuer or self).key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode("ascii")

    @property
    def key_pem(self) -> str:
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return self.key.private_bytes(*form).decode("ascii")


class Chain:
    """A root, an intermediate CA and a client."""

    def __init__(self) -> None:
        self.root = Issued("root")
        self.intermediate = Issued("intermediate", self.root)
        self.client = Issued("client", self.intermediate, is_ca=False)

    @property
    def pem(self) -> str:
        """The whole chain, the client first."""
        return self.client.pem + self.intermediate.pem + self.root.pem
