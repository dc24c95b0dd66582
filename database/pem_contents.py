"""Sort what a text holds: certificates, a private key, or something else, by its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_ssh_private_key,
)

from database import pem_blocks
from database.pem_blocks import Block
from database.sentences import say

#: Characters that are looked at; the certificates of a whole system are a quarter of it.
MOST_CHARACTERS = 1_000_000
#: Characters of a text whose content is remembered: reading it takes 0.2 ms, an RSA key 0.1 s.
MOST_REMEMBERED = 16_384
_CERTIFICATE_LABELS = frozenset({"CERTIFICATE", "X509 CERTIFICATE", ""})
#: Version 3 at the start of a PKCS #12 file.
_PKCS12 = b"\x02\x01\x03\x30"
#: The version at the start of a private key that is not encrypted; no certificate has one there.
_KEY_START = re.compile(rb"\x30(?:[\x00-\x7f]|\x81.|\x82..)\x02\x01[\x00\x01]", re.DOTALL)

_NO_CERTIFICATE = say(
    "This is not a certificate in PEM form; paste it with its BEGIN CERTIFICATE and "
    "END CERTIFICATE lines."
)
_DAMAGED_CERTIFICATE = say(
    "A certificate here is cut off or damaged; paste it in PEM form again, from its "
    "BEGIN CERTIFICATE line to its END CERTIFICATE line."
)
_NO_KEY = say(
    "This is not a private key in PEM form; paste it with its BEGIN and END PRIVATE KEY lines."
)
_LOCKED = say("This key is locked with a pass phrase; store it without one (it is kept encrypted).")
_SEVERAL_KEYS = say("There is more than one private key here; paste the one of the certificate.")
_PKCS12_FILE = say(
    "This is a PKCS #12 file (.p12, .pfx); take certificate and key out of it with "
    "openssl pkcs12 -nodes -in FILE."
)
_PKCS7_FILE = say(
    "This is a PKCS #7 file (.p7b); take the certificates out of it with "
    "openssl pkcs7 -print_certs -in FILE."
)
_TRUSTED = say(
    "This is a TRUSTED CERTIFICATE with rules that only OpenSSL knows; convert it with "
    "openssl x509 -in FILE."
)
_REQUEST = say("This is a certificate request; paste the certificate that the CA made from it.")
#: What holds certificates in a form that is not taken; told also beside others.
_OTHER_CERTIFICATES = {
    "TRUSTED CERTIFICATE": _TRUSTED,
    "PKCS7": _PKCS7_FILE,
    "PKCS #7 SIGNED DATA": _PKCS7_FILE,
    "CMS": _PKCS7_FILE,
}
#: What is left out beside certificates, and told where there are none.
_OTHER_BLOCKS = {
    "CERTIFICATE REQUEST": _REQUEST,
    "NEW CERTIFICATE REQUEST": _REQUEST,
    "X509 CRL": say("This is a revocation list; paste the certificate instead."),
    "PUBLIC KEY": say("This is a public key; paste the certificate instead."),
    "RSA PUBLIC KEY": say("This is a public key; paste the certificate instead."),
}


@dataclass(frozen=True, slots=True)
class Contents:
    """The content of one field, each certificate once."""

    is_blank: bool = True
    certificates: tuple[x509.Certificate, ...] = ()
    #: Why this is no certificate, or not all of it; None for a blank field.
    certificate_flaw: str | None = None
    #: Whether there is a private key, whole or not; and that one if it can be used.
    has_key: bool = False
    key: PrivateKeyTypes | None = field(default=None, repr=False)
    #: Why this is no private key; None for a blank field.
    key_flaw: str | None = None


def read(text: object) -> Contents:
    """Return what `text` holds; never raises."""
    if isinstance(text, str | bytes) and len(text) > MOST_CHARACTERS:
        return _too_long(len(text))
    if isinstance(text, str) and len(text) <= MOST_REMEMBERED:
        return _remembered(text)
    return _read(text)


@lru_cache(maxsize=4_096)
def _remembered(text: str) -> Contents:
    """Return what `text` holds: the worker reads its rows again with every edit."""
    return _read(text)


def _read(text: object) -> Contents:
    blocks = pem_blocks.split(text)
    if not blocks:
        return Contents()
    certificates: dict[x509.Certificate, None] = {}
    keys: list[Block] = []
    flaws: list[str] = []
    for block in blocks:
        certificate = _certificate(block)
        if certificate is not None:
            certificates[certificate] = None
        elif _is_key(block):
            keys.append(block)
        elif flaw := _certificate_flaw(block):
            flaws.append(flaw)
    if not certificates and not flaws:
        flaws = [_other(blocks)]
    key, key_flaw = _only_key(keys, blocks)
    return Contents(
        is_blank=False,
        certificates=tuple(certificates),
        certificate_flaw=flaws[0] if flaws else None,
        has_key=bool(keys),
        key=key,
        key_flaw=key_flaw,
    )


def _too_long(length: int) -> Contents:
    limits = {"limit": MOST_CHARACTERS, "length": length}
    flaw = say("Use at most {limit:,} characters; this has {length:,}.", **limits)
    return Contents(is_blank=False, certificate_flaw=flaw, key_flaw=flaw)


def key_text(key: PrivateKeyTypes) -> str:
    """Return a private key as PEM text."""
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return key.private_bytes(*form).decode("ascii")


def certificate_text(certificates: Iterable[x509.Certificate]) -> str | None:
    """Return certificates as PEM text, None for none."""
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in certificates) or None


def _certificate(block: Block) -> x509.Certificate | None:
    if block.label not in _CERTIFICATE_LABELS or not block.der:
        return None
    try:
        return x509.load_der_x509_certificate(block.der)
    except Exception:  # noqa: BLE001 - cryptography raises several kinds for broken ones
        return None


def _certificate_flaw(block: Block) -> str | None:
    """Return what is wrong with a block that should be a certificate."""
    if block.label in _OTHER_CERTIFICATES:
        return _OTHER_CERTIFICATES[block.label]
    if block.der and _PKCS12 in block.der[:10]:
        return _PKCS12_FILE
    return _DAMAGED_CERTIFICATE if block.label and block.label in _CERTIFICATE_LABELS else None


def _other(blocks: Sequence[Block]) -> str:
    """Return what blocks are of which none is a certificate."""
    found = (_OTHER_BLOCKS.get(block.label) for block in blocks)
    return next((sentence for sentence in found if sentence), _NO_CERTIFICATE)


def _is_key(block: Block) -> bool:
    """Whether a block is a private key, by its label or by what it holds."""
    starts_as_key = block.label != "EC PARAMETERS" and _KEY_START.match(block.der or b"")
    if block.names_a_key or starts_as_key:
        return True
    try:
        return bool(block.der) and _load(block) is not None
    except TypeError:
        return True  # locked
    except Exception:  # noqa: BLE001 - cryptography raises several kinds for what is none
        return False


def _only_key(
    keys: Sequence[Block], blocks: Sequence[Block]
) -> tuple[PrivateKeyTypes | None, str | None]:
    """Return the one key, or why there is none that can be used."""
    if any(block.is_locked for block in keys):
        return None, _LOCKED
    try:
        found = {key_text(key): key for key in map(_load, keys)}
    except TypeError:
        return None, _LOCKED
    except Exception:  # noqa: BLE001 - cryptography raises several kinds for broken keys
        return None, _NO_KEY
    if len(found) > 1:
        return None, _SEVERAL_KEYS
    if found:
        return next(iter(found.values())), None
    is_pkcs12 = any(_certificate_flaw(block) == _PKCS12_FILE for block in blocks)
    return None, _PKCS12_FILE if is_pkcs12 else _NO_KEY


def _load(block: Block) -> PrivateKeyTypes:
    """Return a private key. Raises TypeError for a locked one, many kinds for what is none."""
    if block.der is None:
        raise ValueError
    if block.label == "OPENSSH PRIVATE KEY":
        return load_ssh_private_key(pem_blocks.armoured(block.label, block.der), None)
    return load_der_private_key(block.der, None)
