"""Which certificates of a record its connection cannot do without. Pure.

A bundle of CAs may hold old ones, and a client's chain more than the broker asks for: only
what is needed may turn health to `warn` when it expires.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from database import certificate_chain, pem_contents


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as people need it; without a time it could not be read."""

    subject: str
    issuer: str | None
    expires: datetime | None
    #: SHA-256, hexadecimal, as the worker tells them.
    fingerprint: str = ""
    #: Name and key: what another with the same verifies, this one does.
    identity: tuple[bytes, bytes | None] | None = None


UNREADABLE = Certificate("cannot be read", None, None)


@lru_cache(maxsize=8_192)
def parse(text: object) -> tuple[Certificate, ...]:
    """Return the certificates in `text`, and one that says so if not all could be read."""
    found = pem_contents.read(text)
    rest = (UNREADABLE,) if found.certificate_flaw else ()
    return (*map(_certificate, found.certificates), *rest)


@lru_cache(maxsize=8_192)
def needed_of_client(text: object) -> frozenset[str]:
    """Return the fingerprints of the client's certificate and of the CAs between it and a root.

    The broker has the root itself, and ignores what does not belong to the chain.
    """
    certificates = certificate_chain.in_order(pem_contents.read(text).certificates)
    chain = certificate_chain.upwards(certificates[0], certificates) if certificates else []
    needed = [
        each for each in chain if each is chain[0] or not certificate_chain.is_self_issued(each)
    ]
    return frozenset(map(_fingerprint, needed))


def needed_cas(
    certificates: Sequence[Certificate], verified: Collection[str], now: datetime
) -> frozenset[str]:
    """Return the fingerprints of the CAs without which the broker could not be verified.

    Those are the ones of the chain that was `verified` last. Where none of that chain is among
    them nobody knows yet: then it is each that is still valid, or all once none is.
    """
    used = [each for each in certificates if each.fingerprint in verified]
    valid = [each for each in certificates if each.expires is None or each.expires > now]
    needed = used or valid or certificates
    return frozenset(each.fingerprint for each in needed if not _is_replaced(each, certificates))


def _is_replaced(certificate: Certificate, others: Sequence[Certificate]) -> bool:
    """Whether another with the same name and key is valid for longer."""
    return any(
        other.identity is not None
        and other.identity == certificate.identity
        and other.expires is not None
        and certificate.expires is not None
        and other.expires > certificate.expires
        for other in others
    )


def _certificate(found: x509.Certificate) -> Certificate:
    expires = found.not_valid_after_utc
    try:
        subject, issuer = found.subject.rfc4514_string(), found.issuer.rfc4514_string()
        identity = found.subject.public_bytes(), certificate_chain.public_key(found)
    except ValueError:
        return Certificate("cannot be read", None, expires, _fingerprint(found))
    return Certificate(subject or "no subject", issuer, expires, _fingerprint(found), identity)


def _fingerprint(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA256()).hex()
