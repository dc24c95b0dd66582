"""Reasons for certificates that are not accepted, the broker's or our own."""

from __future__ import annotations

from database.reasons.reason import Reason
from database.words import Origin

CERTIFICATES: dict[str, Reason] = {
    "tls_unknown_ca": Reason(
        "The broker's certificate is not signed by a trusted CA ({error}).",
        "TLS: unknown certificate authority",
        "Put the CA's certificate into the record's CA field, and beside it the intermediate "
        "certificates that the broker does not send.",
        Origin.BROKER,
    ),
    "tls_expired": Reason(
        "A certificate in the broker's chain has expired ({error}).",
        "TLS: certificate expired",
        "Have the broker's certificate renewed. If it is the CA's, enter the new one. Check the "
        "clock of this machine, too.",
        Origin.BROKER,
    ),
    "tls_not_yet_valid": Reason(
        "A certificate in the broker's chain is not valid yet ({error}).",
        "TLS: certificate not yet valid",
        "Check the clock of this machine first, then the dates of the broker's certificate.",
        Origin.BROKER,
    ),
    "tls_name_mismatch": Reason(
        "The broker's certificate is not for {host} ({error}).",
        "TLS: certificate is for another name",
        "Use the host name that the certificate names.",
        Origin.BROKER,
    ),
    "tls_key_too_weak": Reason(
        "A key in the broker's certificate chain is too short to be safe ({error}).",
        "TLS: key too short",
        "Have the certificate made anew with an RSA key of 2,048 bits or more, or on a curve such "
        "as P-256.",
        Origin.BROKER,
    ),
    "tls_signature_too_weak": Reason(
        "A certificate in the broker's chain has a signature that is no longer safe ({error}).",
        "TLS: signature too weak",
        "Have the certificate signed anew with SHA-256 instead of SHA-1 or MD5.",
        Origin.BROKER,
    ),
    "tls_wrong_purpose": Reason(
        "A certificate in the broker's chain is not meant for servers ({error}).",
        "TLS: certificate is for another purpose",
        "Have a certificate made for server authentication (serverAuth in its extended key usage).",
        Origin.BROKER,
    ),
    "tls_ca_invalid": Reason(
        "A certificate that signed the broker's may not sign others ({error}).",
        "TLS: not the certificate of a CA",
        "Have the CA's certificate made anew: with CA:TRUE in its basic constraints, and with "
        "certificate signing if it has a key usage.",
        Origin.BROKER,
    ),
    "tls_chain_too_long": Reason(
        "The broker's certificate chain is longer than is allowed ({error}).",
        "TLS: certificate chain too long",
        "Have the broker's certificate signed by a CA higher up, or the CA made anew with a larger "
        "path length.",
        Origin.BROKER,
    ),
    "tls_certificate_invalid": Reason(
        'The broker\'s certificate does not pass the check. OpenSSL says: "{error}".',
        "TLS: certificate not accepted",
        "Look at the certificates that the broker sends, and have the one that OpenSSL means made "
        "anew.",
        Origin.BROKER,
    ),
    "tls_client_cert_rejected": Reason(
        "The broker rejected the client certificate ({error}).",
        "TLS: client certificate rejected",
        "Check that the record has a client certificate, that it is valid, and that the "
        "broker knows who signed it.",
        Origin.BROKER,
        fuller={
            "missing": "The broker wants a client certificate ({error}).",
            "expired": "The broker says that the client certificate has expired ({error}).",
            "revoked": "The broker says that the client certificate is revoked ({error}).",
            "unknown_ca": "The broker does not know who signed the client certificate ({error}).",
        },
    ),
}
