"""Certificates and keys as operators paste them: read, put right, written anew.

`read` is the one way in. Of what stands in a certificate field only certificates are kept,
encoded anew; a private key that came along goes to its own field where that is certain, and
is refused by name elsewhere. `shown` is the one way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from database import certificate_chain, pem_contents
from database.certificate_chain import public_key
from database.pem_contents import Contents, certificate_text, key_text
from database.sentences import say

CA, CERTIFICATE, KEY = FIELDS = ("tls_ca_pem", "tls_client_cert_pem", "tls_client_key_pem")
#: The fields that everybody sees who may look at a record.
PUBLIC_FIELDS = (CA, CERTIFICATE)
#: Stands for what is shown to nobody because it could not be read; it cannot be read either.
UNREADABLE = "-----BEGIN CERTIFICATE-----\n(cannot be read)\n-----END CERTIFICATE-----\n"

_KEY_AMONG_CAS = say(
    "Remove the private key: only certificates belong here, and no key of a CA is needed."
)
_KEY_AMONG_CERTIFICATES = say(
    "Remove the private key: only certificates belong here; the key goes into the client key field."
)
_CERTIFICATE_AT_KEY = say(
    "Remove the certificate: only the private key belongs here; the certificate goes into the "
    "client certificate field."
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The three TLS fields of a record as they are stored, and what is wrong with them.

    A field with a flaw is as it came.
    """

    values: dict[str, Any] = field(repr=False)
    flaws: dict[str, str]
    #: The client's certificate before its issuers, and its key; empty with a flaw in either.
    certificates: list[x509.Certificate] = field(default_factory=list)
    key: PrivateKeyTypes | None = field(default=None, repr=False)


def read(ca: object, certificate: object, key: object) -> Reading:
    """Return what was pasted into the three fields, put right where the meaning is certain."""
    trusted, own, secret = map(pem_contents.read, (ca, certificate, key))
    found = {
        CA: _KEY_AMONG_CAS if trusted.has_key else trusted.certificate_flaw,
        CERTIFICATE: _certificate_flaw(own, secret),
        KEY: _key_flaw(own, secret),
    }
    flaws = {name: flaw for name, flaw in found.items() if flaw is not None}
    values: dict[str, Any] = {CA: ca, CERTIFICATE: certificate, KEY: key}
    if CA not in flaws:
        values[CA] = certificate_text(trusted.certificates)
    if CERTIFICATE in flaws or KEY in flaws:
        return Reading(values, flaws)
    private = secret.key or own.key
    chain = _merged(own, secret)
    chain = certificate_chain.in_order(chain, None if private is None else public_key(private))
    values[CERTIFICATE] = certificate_text(chain)
    values[KEY] = None if private is None else key_text(private)
    return Reading(values, flaws, chain, private)


def normalized(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return `values` with what is stored of the TLS fields among them, or came within those."""
    if all(values.get(name) in (None, "") for name in FIELDS):
        return dict(values)
    found = read(*(values.get(name) for name in FIELDS)).values
    come = {name: found[name] for name in FIELDS if name in values or found[name] is not None}
    return {**values, **come}


def problems(reading: Reading) -> dict[str, str | None]:
    """Return `{field: sentence or None}`: the flaws, and what is wrong with the pair."""
    found: dict[str, str | None] = {name: reading.flaws.get(name) for name in FIELDS}
    certificate, key = reading.values[CERTIFICATE], reading.values[KEY]
    if certificate and not key and not found[CERTIFICATE]:
        found[KEY] = say("A client certificate needs its private key.")
    if key and not certificate and not found[KEY]:
        found[CERTIFICATE] = say("A private key needs its client certificate.")
    if reading.key and reading.certificates and not _is_pair(reading.certificates[0], reading.key):
        found[KEY] = say("This key does not belong to the client certificate.")
    return found


def shown(text: object) -> str | None:
    """Return what may be seen of a certificate field: its certificates, encoded anew."""
    found = pem_contents.read(text)
    rest = UNREADABLE if found.certificate_flaw else ""
    return ((certificate_text(found.certificates) or "") + rest) or None


def _is_swapped(own: Contents, secret: Contents) -> bool:
    """Whether the key stands in the certificate's field, and the certificate in the key's."""
    is_own_key = own.key is not None and not own.certificates
    return is_own_key and bool(secret.certificates) and not secret.has_key


def _certificate_flaw(own: Contents, secret: Contents) -> str | None:
    if not own.has_key:
        return own.certificate_flaw
    if _is_swapped(own, secret):
        return None
    if own.key is None or not own.certificates:
        return _KEY_AMONG_CERTIFICATES
    if not secret.is_blank and (secret.key is None or key_text(secret.key) != key_text(own.key)):
        return _KEY_AMONG_CERTIFICATES
    return own.certificate_flaw


def _key_flaw(own: Contents, secret: Contents) -> str | None:
    if secret.is_blank or _is_swapped(own, secret):
        return None
    if secret.key is None:
        is_certificate = bool(secret.certificates) and not secret.has_key
        return _CERTIFICATE_AT_KEY if is_certificate else secret.key_flaw
    come = [each for each in secret.certificates if each not in own.certificates]
    return _CERTIFICATE_AT_KEY if come and not _belong(come, own, secret.key) else None


def _belong(come: list[x509.Certificate], own: Contents, private: PrivateKeyTypes) -> bool:
    """Whether certificates beside a key can only be those of its own client."""
    known = come if own.is_blank else own.certificates
    leaf = next((each for each in known if _is_pair(each, private)), None)
    if leaf is None:
        return False
    chain = certificate_chain.upwards(leaf, [*own.certificates, *come])
    return own.is_blank or all(each in chain for each in come)


def _merged(own: Contents, secret: Contents) -> list[x509.Certificate]:
    return list(dict.fromkeys([*own.certificates, *secret.certificates]))


def _is_pair(certificate: x509.Certificate, private: PrivateKeyTypes) -> bool:
    key = public_key(certificate)
    return key is not None and key == public_key(private)
