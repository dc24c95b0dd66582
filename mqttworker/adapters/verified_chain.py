"""The certificates by which OpenSSL came to trust a broker, told by their fingerprints."""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Iterable

#: `_ssl.ENCODING_DER`, which has no public name.
_DER = 2


def read(tls: ssl.SSLObject) -> tuple[str, ...]:
    """Return the SHA-256 of each, the broker's own first; empty if nothing was verified."""
    if tls.context.verify_mode is ssl.CERT_NONE:
        return ()
    try:
        return tuple(hashlib.sha256(der).hexdigest() for der in _chain(tls))
    except (AttributeError, TypeError, ValueError, ssl.SSLError):
        # Without it health warns of more than it needs to; the connection is as good.
        return ()


def _chain(tls: ssl.SSLObject) -> Iterable[bytes]:
    if hasattr(tls, "get_verified_chain"):
        chain: list[bytes] = tls.get_verified_chain()
        return chain
    # Before Python 3.13 only the private object has it.
    found = tls._sslobj.get_verified_chain()  # type: ignore[attr-defined]
    return [certificate.public_bytes(_DER) for certificate in found or ()]
