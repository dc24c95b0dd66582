"""Whom a certificate names."""

from __future__ import annotations

from functools import lru_cache

from cryptography import x509
from cryptography.x509.oid import NameOID


@lru_cache(maxsize=8192)
def common_name(text: str) -> str | None:
    """Return the Common Name of the first certificate in a PEM text, None if there is none."""
    try:
        leaf = x509.load_pem_x509_certificates(text.encode("utf-8"))[0]
        names = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return None
    return str(names[0].value) if names else None
