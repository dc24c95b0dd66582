"""Map what OpenSSL finds wrong with certificates to reasons and sentences."""

from __future__ import annotations

import ssl

from mqttworker.core.cause import Cause, cause

#: X509_V_ERR_... of OpenSSL, by what an operator can do about them. One that is not listed
#: is quoted: it says more than we know of it.
_VERIFY_CODES = {
    2: "tls_unknown_ca",  # the issuer of a CA that was sent
    9: "tls_not_yet_valid",
    10: "tls_expired",
    18: "tls_unknown_ca",  # self-signed
    19: "tls_unknown_ca",  # self-signed in chain
    20: "tls_unknown_ca",  # issuer not found
    21: "tls_unknown_ca",  # leaf cannot be verified
    22: "tls_chain_too_long",
    24: "tls_ca_invalid",  # the issuer has no key; with OpenSSL 1.1.1 what is 79 today
    25: "tls_chain_too_long",  # than the path length of a CA allows
    26: "tls_wrong_purpose",
    32: "tls_ca_invalid",  # key usage without certificate signing
    39: "tls_wrong_purpose",  # key usage without digital signature
    62: "tls_name_mismatch",
    64: "tls_name_mismatch",  # IP address
    66: "tls_key_too_weak",
    67: "tls_key_too_weak",  # of a CA
    68: "tls_signature_too_weak",
    79: "tls_ca_invalid",
}

#: What a broker's alert says of our certificate, by a word in OpenSSL's name for it. The
#: first that fits says what is known beyond "rejected"; see the reason's fuller sentences.
_ALERTS = {
    "CERTIFICATE_REQUIRED": "missing",
    "CERTIFICATE_EXPIRED": "expired",
    "CERTIFICATE_REVOKED": "revoked",
    "UNKNOWN_CA": "unknown_ca",
    "CERTIFICATE": "",
    "ACCESS_DENIED": "",
}

_TOO_SHORT = "have one made with an RSA key of 2,048 bits or more, or on a curve such as P-256."
_NOT_THIS_KEY = "This key does not belong to the client certificate."
#: Why OpenSSL does not take our own certificate: the field, and what to do.
_OWN = {
    "EE_KEY_TOO_SMALL": ("tls_client_cert_pem", f"Its key is too short for TLS; {_TOO_SHORT}"),
    "CA_KEY_TOO_SMALL": (
        "tls_client_cert_pem",
        f"The key of a CA below it is too short for TLS; {_TOO_SHORT}",
    ),
    "CA_MD_TOO_WEAK": (
        "tls_client_cert_pem",
        "It is signed with SHA-1 or MD5, which is no longer safe; have it signed with SHA-256.",
    ),
    "KEY_VALUES_MISMATCH": ("tls_client_key_pem", _NOT_THIS_KEY),
    "KEY_TYPE_MISMATCH": ("tls_client_key_pem", _NOT_THIS_KEY),
    "NO_CERTIFICATE_ASSIGNED": ("tls_client_key_pem", _NOT_THIS_KEY),  # for such a kind of key
}


def verify_cause(error: ssl.SSLCertVerificationError) -> Cause:
    """Return why the broker's certificate was not accepted, with OpenSSL's own words."""
    code = _VERIFY_CODES.get(error.verify_code, "tls_certificate_invalid")
    return cause(code, raw_code=error.verify_code, error=error.verify_message)


def alert_cause(reason: str) -> Cause | None:
    """Return what the broker's alert says of our certificate, None if it is not about that."""
    if "ALERT" not in reason:
        return None
    for word, known in _ALERTS.items():
        if word in reason:
            detail = {known: True} if known else {}
            return cause("tls_client_cert_rejected", error=reason, **detail)
    return None


def own_problem(error: Exception) -> tuple[str, str]:
    """Return the field and the sentence for what is wrong with our certificate or its key."""
    reason = getattr(error, "reason", None) or ""
    return _OWN.get(reason, ("tls_client_key_pem", quoted(error)))


def quoted(error: Exception) -> str:
    """Return a sentence with OpenSSL's own words."""
    return f"OpenSSL cannot use it ({getattr(error, 'reason', None) or error})."
