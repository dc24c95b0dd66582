"""Which certificate is whose, and which one issued which."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def public_key(holder: object) -> bytes | None:
    """Return the public key of a certificate or a private key; None for an unknown kind."""
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        found: bytes = holder.public_key().public_bytes(*form)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - cryptography raises several kinds for odd keys
        return None
    return found


def in_order(
    certificates: Sequence[x509.Certificate], key: bytes | None = None
) -> list[x509.Certificate]:
    """Return the certificate of the public key, its issuers upwards, then what is left.

    Without a key the first is the one that has issued none of the others. Where that is not
    certain the order stays.
    """
    leaf = _holder(certificates, key) or _lowest(certificates)
    if leaf is None:
        return list(certificates)
    chain = upwards(leaf, certificates)
    return [*chain, *(each for each in certificates if each not in chain)]


def upwards(
    leaf: x509.Certificate, certificates: Iterable[x509.Certificate]
) -> list[x509.Certificate]:
    """Return `leaf` and its issuers among `certificates`, each before its own issuer."""
    chain, left = [leaf], [each for each in certificates if each != leaf]
    while (issuer := _issuer(chain[-1], left)) is not None:
        chain.append(issuer)
        left.remove(issuer)
    return chain


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether a certificate ends a chain."""
    subject, issuer = _names(certificate)
    return subject is not None and subject == issuer


def _holder(certificates: Sequence[x509.Certificate], key: bytes | None) -> x509.Certificate | None:
    if key is None:
        return None
    return next((each for each in certificates if public_key(each) == key), None)


def _lowest(certificates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    names = [_names(each) for each in certificates]
    issuers = {issuer for subject, issuer in names if subject != issuer}
    found = [
        each
        for each, (subject, _) in zip(certificates, names, strict=True)
        if subject not in issuers
    ]
    return found[0] if len(found) == 1 else None


def _issuer(
    certificate: x509.Certificate, others: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    """Return the issuer; among several of its name one that signed it, the longest valid."""
    if is_self_issued(certificate):
        return None
    wanted = _names(certificate)[1]
    found = [each for each in others if wanted is not None and _names(each)[0] == wanted]
    if len(found) > 1:
        signed = [each for each in found if _has_signed(each, certificate)]
        found = sorted(signed or found[:1], key=lambda each: each.not_valid_after_utc)
    return found[-1] if found else None


def _has_signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # noqa: BLE001 - cryptography raises several kinds for odd keys
        return False
    return True


def _names(certificate: x509.Certificate) -> tuple[bytes | None, bytes | None]:
    """Return subject and issuer as they can be compared; None for what cannot be read."""
    try:
        return certificate.subject.public_bytes(), certificate.issuer.public_bytes()
    except ValueError:
        return None, None
