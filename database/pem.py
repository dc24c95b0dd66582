"""Certificates and keys as operators paste them: PEM text, checked before it is used."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from database.sentences import say

_BROKEN_CERTIFICATE = say(
    "This is not a certificate in PEM form; paste it with its BEGIN CERTIFICATE and "
    "END CERTIFICATE lines."
)


def problems(ca: str | None, certificate: str | None, key: str | None) -> dict[str, str | None]:
    """Return `{field: sentence or None}` for the three TLS fields of a record."""
    found = {
        "tls_ca_pem": _check_certificates(ca) if ca else None,
        "tls_client_cert_pem": _check_certificates(certificate) if certificate else None,
        "tls_client_key_pem": _check_key(key) if key else None,
    }
    if certificate and not key:
        found["tls_client_key_pem"] = say("A client certificate needs its private key.")
    if key and not certificate:
        found["tls_client_cert_pem"] = say("A private key needs its client certificate.")
    if certificate and key and not any(found.values()) and not _match(certificate, key):
        found["tls_client_key_pem"] = say("This key does not belong to the client certificate.")
    return found


def _check_certificates(text: object) -> str | None:
    try:
        certificates = x509.load_pem_x509_certificates(str(text).encode("utf-8"))
    except ValueError:
        return _BROKEN_CERTIFICATE
    return None if certificates else _BROKEN_CERTIFICATE


def _check_key(text: object) -> str | None:
    try:
        _load_key(str(text))
    except TypeError:
        return say(
            "This key is locked with a pass phrase; store it without one (it is kept encrypted)."
        )
    except Exception:  # noqa: BLE001 - cryptography raises several kinds for broken keys
        return say(
            "This is not a private key in PEM form; paste it with its BEGIN and END PRIVATE KEY "
            "lines."
        )
    return None


def _load_key(text: str) -> PrivateKeyTypes:
    return load_pem_private_key(text.encode("utf-8"), password=None)


def _match(certificate: str, key: str) -> bool:
    leaf = x509.load_pem_x509_certificates(certificate.encode("utf-8"))[0]
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return leaf.public_key().public_bytes(*form) == _load_key(key).public_key().public_bytes(*form)
