"""What is taken of certificates and keys as people paste them, and what is refused by name."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from hypothesis import given
from hypothesis import strategies as st

from database import pem
from tests.support.chains import Chain, Issued

CHAIN = Chain()
OTHER = Issued("other")
KEY = CHAIN.client.key_pem
BODY = KEY.splitlines()[1]
DUMP = (
    "Certificate:\n    Data:\n        Version: 3 (0x2)\n        Issuer: CN = Città\n"
    "            X509v3 Private Key Usage Period:\n    Signature: 30:45:02:21:00:f8\n"
)
BAG = "Bag Attributes\n    friendlyName: Főtanúsítvány\nsubject=CN = x\n\nissuer=CN = y\n"


def flaws(ca: object = None, certificate: object = None, key: object = None) -> dict[str, str]:
    found = pem.problems(pem.read(ca, certificate, key))
    return {field: sentence for field, sentence in found.items() if sentence}


def indented(text: str, blank: str = "    ") -> str:
    return "".join(f"{blank}{line}\n" for line in text.splitlines())


def between(text: str, what: str) -> str:
    """Put something before, between and after the blocks."""
    end = "-----\n"
    blocks = text.split("-----END ")
    parts = [blocks[0]]
    for block in blocks[1:]:
        label, _, rest = block.partition(end)
        parts.append(f"-----END {label}{end}{what}{rest}")
    return what + "".join(parts)


#: What mails, editors, shells and other programs make of a good text.
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": lambda text: text,
    "byte order mark": lambda text: "\ufeff" + text,
    "byte order mark read as Latin-1": lambda text: "ï»¿" + text,
    "byte order marks between": lambda text: between(text, "\ufeff"),
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "CR": lambda text: text.replace("\n", "\r"),
    "indented": indented,
    "tabs": lambda text: indented(text, "\t\t"),
    "one line, blanks": lambda text: text.replace("\n", " "),
    "one line": lambda text: text.replace("\n", ""),
    "line ends written out": lambda text: text.replace("\n", "\\n"),
    "CRLF written out": lambda text: text.replace("\n", "\\r\\n"),
    "written out twice": lambda text: text.replace("\n", "\\\\n"),
    "written out in quotes": lambda text: '"' + text.replace("\n", "\\n") + '",',
    "quoted mail": lambda text: indented(text, "> "),
    "comments": lambda text: between(text, "# Issuer: Città di Esempio, Főtanúsítvány\n"),
    "blank lines": lambda text: text.replace("\n", "\n\n"),
    "text dumps": lambda text: between(text, DUMP),
    "bag attributes": lambda text: between(text, BAG),
    "hard blanks": lambda text: text.replace("\n", "\xa0\n").replace(" ", "\xa0"),
    "zero width": lambda text: text.replace("\n", "\u200b\n\u2060"),
    "soft hyphens": lambda text: text.replace("\n", "\xad\n"),
    "trailing blanks": lambda text: text.replace("\n", "  \t\n"),
    "no final line end": str.rstrip,
    "typographic dashes": lambda text: text.replace("-----", "\u2014\u2013-"),
    "lines of another length": lambda text: text.replace("\n", "", 2),
    "NUL": lambda text: text.replace("\n", "\x00\n"),
    "doubled": lambda text: text + text,
    "headers": lambda text: re.sub(r"(BEGIN [A-Z ]+-----\n)", r"\1Comment: Città\n\n", text),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_good_text_is_taken_however_it_was_carried(way: str) -> None:
    change = WAYS[way]
    found = pem.read(change(CHAIN.root.pem + OTHER.pem), change(CHAIN.pem), change(KEY))
    assert found.flaws == {}
    assert found.values == {
        pem.CA: CHAIN.root.pem + OTHER.pem,
        pem.CERTIFICATE: CHAIN.pem,
        pem.KEY: KEY,
    }
    assert flaws(*found.values.values()) == {}


@pytest.mark.parametrize("way", WAYS)
def test_what_was_put_right_once_stays_so(way: str) -> None:
    values = {pem.CERTIFICATE: WAYS[way](CHAIN.pem + KEY), "name": "x"}
    once = pem.normalized(values)
    assert once == {pem.CERTIFICATE: CHAIN.pem, pem.KEY: KEY, "name": "x"}
    assert pem.normalized(once) == once


@pytest.mark.parametrize("way", WAYS)
def test_a_key_among_cas_is_refused_however_it_was_carried(way: str) -> None:
    for text in (KEY, CHAIN.root.pem + KEY, KEY + CHAIN.root.pem):
        assert "private key" in flaws(ca=WAYS[way](text))[pem.CA]
        assert BODY not in str(pem.shown(WAYS[way](text)))


@pytest.mark.parametrize("text", [None, "", " \r\n\t", "\ufeff", "\u200b\n"])
def test_blanks_are_nothing(text: str | None) -> None:
    assert flaws(text, text, text) == {}
    assert set(pem.read(text, text, text).values.values()) == {None}


# --- chains


def test_a_chain_begins_with_the_certificate_of_the_key() -> None:
    for mixed in (
        CHAIN.root.pem + CHAIN.intermediate.pem + CHAIN.client.pem,
        CHAIN.intermediate.pem + CHAIN.client.pem + CHAIN.root.pem,
    ):
        assert pem.read(None, mixed, KEY).values[pem.CERTIFICATE] == CHAIN.pem
        assert pem.read(None, mixed, None).values[pem.CERTIFICATE] == CHAIN.pem


def test_certificates_of_a_chain_stay_expired_or_strange() -> None:
    gone = Issued("gone", valid=-timedelta(days=9))
    mixed = gone.pem + CHAIN.root.pem + CHAIN.client.pem + CHAIN.intermediate.pem
    assert pem.read(None, mixed, KEY).values[pem.CERTIFICATE] == CHAIN.pem + gone.pem
    assert pem.read(gone.pem + OTHER.pem, None, None).values[pem.CA] == gone.pem + OTHER.pem


def test_among_issuers_of_one_name_the_one_that_signed_is_taken() -> None:
    namesake = Issued("intermediate", CHAIN.root)
    mixed = namesake.pem + CHAIN.intermediate.pem + CHAIN.client.pem
    expected = CHAIN.client.pem + CHAIN.intermediate.pem + namesake.pem
    assert pem.read(None, mixed, KEY).values[pem.CERTIFICATE] == expected


def test_among_issuers_that_signed_the_one_that_is_valid_longest_is_taken() -> None:
    key = CHAIN.intermediate.key
    short = Issued("intermediate", CHAIN.root, key=key, valid=timedelta(days=9))
    expected = CHAIN.client.pem + CHAIN.intermediate.pem + short.pem
    for mixed in (short.pem + CHAIN.intermediate.pem, CHAIN.intermediate.pem + short.pem):
        found = pem.read(None, mixed + CHAIN.client.pem, KEY)
        assert found.values[pem.CERTIFICATE] == expected


def test_an_order_that_is_not_certain_stays() -> None:
    two = CHAIN.intermediate.pem + CHAIN.client.pem + OTHER.pem
    for mixed in (OTHER.pem + CHAIN.root.pem, two):
        assert pem.read(None, mixed, None).values[pem.CERTIFICATE] == mixed


# --- a key in a certificate's field, and the other way


@pytest.mark.parametrize(
    "text", [KEY + CHAIN.pem, CHAIN.pem + KEY, CHAIN.root.pem + KEY + CHAIN.client.pem]
)
def test_a_key_beside_its_certificate_goes_to_its_own_field(text: str) -> None:
    for beside in (None, KEY, CHAIN.client.pem + KEY):
        found = pem.read(None, text, beside)
        assert found.flaws == {}
        assert found.values[pem.KEY] == KEY
        assert "PRIVATE" not in found.values[pem.CERTIFICATE]


def test_a_key_that_contradicts_the_other_field_is_refused() -> None:
    for beside in (OTHER.key_pem, "junk", CHAIN.client.pem):
        assert "private key" in flaws(None, CHAIN.pem + KEY, beside)[pem.CERTIFICATE]
    assert set(flaws(None, CHAIN.pem + OTHER.key_pem, None)) == {pem.KEY}


def test_both_in_the_field_of_the_key_are_taken_apart() -> None:
    for text in (KEY + CHAIN.pem, CHAIN.root.pem + CHAIN.intermediate.pem + CHAIN.client.pem + KEY):
        for beside in (None, CHAIN.client.pem, CHAIN.pem):
            found = pem.read(None, beside, text)
            assert found.flaws == {}
            assert found.values[pem.CERTIFICATE] == CHAIN.pem
            assert found.values[pem.KEY] == KEY


def test_the_two_in_each_others_fields_are_exchanged() -> None:
    found = pem.read(None, KEY, CHAIN.pem)
    assert found.flaws == {}
    assert (found.values[pem.CERTIFICATE], found.values[pem.KEY]) == (CHAIN.pem, KEY)


def test_a_certificate_in_the_field_of_the_key_is_refused_where_it_is_not_certain() -> None:
    renewed = Issued("client", CHAIN.intermediate, is_ca=False)
    for certificate, key in (
        (None, CHAIN.pem),
        (CHAIN.pem, CHAIN.pem),
        (None, OTHER.pem + KEY),
        (CHAIN.pem, renewed.pem + renewed.key_pem),
        (CHAIN.pem, KEY + OTHER.pem),
        (CHAIN.client.pem, KEY + CHAIN.intermediate.pem + OTHER.pem),
        # A root of the same name has issued nothing of it.
        (CHAIN.pem, KEY + Issued("root").pem),
    ):
        assert "certificate" in flaws(None, certificate, key)[pem.KEY]


def test_what_only_looks_like_an_exchange_is_refused() -> None:
    for beside in (CHAIN.pem + OTHER.key_pem, None, "junk"):
        assert "Remove the private key" in flaws(None, KEY, beside)[pem.CERTIFICATE]
    assert "not a private key" in flaws(None, KEY, "junk")[pem.KEY]


def test_strange_certificates_beside_a_key_are_kept_where_they_are_known_or_alone() -> None:
    both = CHAIN.pem + OTHER.pem
    for certificate, key in ((both, OTHER.pem + KEY), (None, OTHER.pem + CHAIN.pem + KEY)):
        found = pem.read(None, certificate, key)
        assert found.flaws == {}
        assert found.values[pem.CERTIFICATE] == both


def test_neither_goes_without_the_other() -> None:
    assert flaws(None, CHAIN.pem, None) == {pem.KEY: "A client certificate needs its private key."}
    assert flaws(None, None, KEY) == {
        pem.CERTIFICATE: "A private key needs its client certificate."
    }
    # What cannot be read is told alone.
    assert set(flaws(None, "junk", None)) == {pem.CERTIFICATE}
    assert set(flaws(None, None, "junk")) == {pem.KEY}


def test_the_gravest_is_told_where_both_are_in_one_field() -> None:
    broken = CHAIN.root.pem[:300]
    assert "cut off" in flaws(None, CHAIN.pem + broken + KEY, None)[pem.CERTIFICATE]
    locked = CHAIN.client.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")
    )
    text = locked.decode()
    # Also cut off, and under another name of a key.
    for key in (text, text[:150], text.replace("ENCRYPTED ", "")):
        assert "pass phrase" in flaws(None, None, CHAIN.pem + key)[pem.KEY]


def _keys() -> dict[str, str]:
    """Return private keys of every kind as text."""
    pkcs8, traditional = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL
    made: dict[str, Any] = {
        "rsa": rsa.generate_private_key(65537, 2048),
        "ec": CHAIN.client.key,
        "dsa": dsa.generate_private_key(1024),
    }
    locked = BestAvailableEncryption(b"pass")
    found = {}
    for name, key in made.items():
        for form in (pkcs8, traditional):
            for lock in (NoEncryption(), locked):
                text = key.private_bytes(Encoding.PEM, form, lock).decode()
                found[f"{name} {form} {type(lock).__name__}"] = text
    edwards = ed25519.Ed25519PrivateKey.generate()
    text = edwards.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    found["OpenSSH"] = text
    return found


KEYS = _keys()
#: A key that is no longer whole, or under another name.
DAMAGES: dict[str, Callable[[str], str]] = {
    "whole": lambda text: text,
    "another label": lambda text: text.replace("-----BEGIN ", "-----BEGIN ANY "),
    "no end": lambda text: text[: text.index("-----END")],
    "no begin": lambda text: text[text.index("\n") + 1 :],
    "cut": lambda text: text[: len(text) // 2],
    "damaged": lambda text: text.replace("\n", "\n!", 2),
    "small letters": lambda text: text.replace("BEGIN", "Begin").replace("PRIVATE", "Private"),
    "no dashes after": lambda text: text.replace("KEY-----", "KEY"),
    "wrong end": lambda text: text.replace("-----END", "-----END CERTIFICATE-----\n-----END"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KEYS)
def test_no_key_is_kept_or_shown_where_certificates_belong(kind: str, damage: str) -> None:
    broken = DAMAGES[damage](KEYS[kind])
    for text in (
        broken,
        CHAIN.pem + broken,
        broken + CHAIN.pem,
        CHAIN.root.pem + broken + OTHER.pem,
    ):
        assert pem.CA in flaws(ca=text)
        shown = str(pem.shown(text))
        assert not any(line in shown for line in KEYS[kind].splitlines()[1:-1] if len(line) > 20)
        values = pem.read(None, text, None)
        assert values.flaws or "KEY" not in str(values.values[pem.CERTIFICATE])
        assert set(flaws(None, text, OTHER.key_pem)) & {pem.CERTIFICATE, pem.KEY}


@pytest.mark.parametrize(
    "label", ["CERTIFICATE", "X509 CRL", "PUBLIC KEY", "EC PARAMETERS", "SECRET"]
)
def test_a_key_under_a_false_name_is_found(label: str) -> None:
    text = KEY.replace("PRIVATE KEY", label)
    assert "private key" in flaws(ca=CHAIN.root.pem + text)[pem.CA]
    assert BODY not in str(pem.shown(CHAIN.root.pem + text))


def test_a_key_that_cannot_be_read_under_a_false_name_is_found() -> None:
    locked = CHAIN.client.key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"pass")
    )
    for text in (*(KEY[:size] for size in range(147, 151)), locked.decode()):
        hidden = text.replace("ENCRYPTED ", "").replace("PRIVATE KEY", "CERTIFICATE")
        assert "private key" in flaws(ca=CHAIN.root.pem + hidden)[pem.CA]


def test_a_key_without_its_lines_is_found() -> None:
    bare = "".join(KEY.splitlines()[1:-1])
    assert "private key" in flaws(ca=bare)[pem.CA]
    assert BODY not in str(pem.shown(bare))
    assert BODY not in str(pem.shown(f"note\n{bare}\n{CHAIN.root.pem}{bare}"))
    assert pem.read(None, None, bare).values[pem.KEY] == KEY


def test_keys_of_every_kind_are_taken_or_told() -> None:
    for kind, text in KEYS.items():
        found = pem.read(None, None, text)
        if "Best" in kind:
            assert "pass phrase" in found.flaws[pem.KEY]
        else:
            assert found.flaws == {}
            assert found.values[pem.KEY].startswith("-----BEGIN PRIVATE KEY-----")


def test_parameters_before_an_ec_key_are_left_out() -> None:
    form = (Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    key = CHAIN.client.key.private_bytes(*form).decode()
    # By the name of a curve, and all its numbers, which begin as a private key does.
    for body in ("BggqhkjOPQMBBw==", "MAUCAQEwAA=="):
        text = f"-----BEGIN EC PARAMETERS-----\n{body}\n-----END EC PARAMETERS-----\n"
        assert pem.read(None, CHAIN.pem, text + key).values[pem.KEY] == KEY


def test_several_keys_are_told() -> None:
    assert "more than one" in flaws(None, CHAIN.pem, KEY + OTHER.key_pem)[pem.KEY]
    assert flaws(None, CHAIN.pem, KEY + KEY) == {}


# --- what else comes


def test_a_certificate_without_its_lines_is_taken() -> None:
    der = CHAIN.root.certificate.public_bytes(Encoding.DER)
    for text in (base64.b64encode(der).decode(), base64.encodebytes(der).decode()):
        assert pem.read(text, None, None).values[pem.CA] == CHAIN.root.pem


def test_what_is_no_certificate_is_told_by_name() -> None:
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(CHAIN.client.name)
        .sign(CHAIN.client.key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )
    public = CHAIN.client.key.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    bag = pkcs12.serialize_key_and_certificates(
        b"x", CHAIN.client.key, CHAIN.client.certificate, None, NoEncryption()
    )
    trusted = CHAIN.root.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE")
    for text, words in (
        (request, "certificate request"),
        (public.decode(), "public key"),
        (base64.b64encode(bag).decode(), "PKCS #12"),
        (trusted, "openssl x509"),
        (CHAIN.root.pem + trusted, "openssl x509"),
        (CHAIN.root.pem.replace("CERTIFICATE", "PKCS7"), "PKCS #7"),
        ("junk", "not a certificate"),
        (CHAIN.root.pem[:300], "cut off"),
        (CHAIN.root.pem + CHAIN.root.pem[:300], "cut off"),
        (CHAIN.root.pem[300:], "cut off"),
        (CHAIN.root.pem.replace("\n", "\n*"), "cut off"),
        (5, "not a certificate"),
        (["x"], "not a certificate"),
        ("x" * 1_000_001, "1,000,000"),
    ):
        assert words in flaws(ca=text)[pem.CA], text
        assert words in flaws(None, text, KEY)[pem.CERTIFICATE], text
    assert "PKCS #12" in flaws(None, CHAIN.pem, base64.b64encode(bag).decode())[pem.KEY]


def test_what_stands_beside_certificates_is_left_out() -> None:
    extra = (
        "-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
        CHAIN.client.key.public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )
    for text in extra:
        assert pem.read(text + CHAIN.root.pem, None, None).values[pem.CA] == CHAIN.root.pem


def test_what_could_not_be_read_is_shown_as_that_and_stays_unreadable() -> None:
    for text in ("junk", CHAIN.root.pem + CHAIN.root.pem[:300], KEY, KEY[:50]):
        shown = pem.shown(text)
        assert "(cannot be read)" in str(shown)
        assert pem.shown(shown) == shown
        assert pem.CA in flaws(ca=shown)
    assert pem.shown(CHAIN.root.pem + KEY) == CHAIN.root.pem


_PARTS = st.sampled_from(
    [
        KEY,
        CHAIN.root.pem,
        CHAIN.client.pem,
        BODY,
        "-----BEGIN ",
        "PRIVATE KEY",
        "CERTIFICATE",
        "-----END ",
        "-----",
        "\n",
        "\\n",
        " ",
        "é",
        "\ufeff",
        "\x00",
        "=",
        "Proc-Type: 4,ENCRYPTED",
    ]
)


@given(st.lists(_PARTS, max_size=12).map("".join), st.lists(_PARTS, max_size=6).map("".join))
def test_nothing_breaks_and_nothing_of_a_key_comes_out(text: str, other: str) -> None:
    found = pem.read(text, text, other)
    pem.problems(found)
    assert BODY not in str(pem.shown(text))
    for field in pem.PUBLIC_FIELDS:
        if field not in found.flaws and pem.KEY not in found.flaws:
            assert BODY not in str(found.values[field])
    assert repr(found).count(BODY) == 0


def test_a_key_of_another_curve_is_told() -> None:
    other = ec.generate_private_key(ec.SECP384R1())
    form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    text = other.private_bytes(*form).decode()
    assert "does not belong" in flaws(None, CHAIN.pem, text)[pem.KEY]
