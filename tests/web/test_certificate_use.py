"""Only certificates that a connection cannot do without turn health to `warn`."""

from __future__ import annotations

import hashlib
import ssl
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from tests.support.chains import Issued
from tests.web import rows
from tests.web.conftest import Visitor
from tests.web.test_certificates import judged
from tests.worker.service.worker import ONE_DATABASE

DAY = timedelta(days=1)
ROOT = Issued("root")
INTERMEDIATE = Issued("intermediate", ROOT)
SOON = Issued("soon", valid=9 * DAY)
#: The same name and key as `SOON`, for longer.
RENEWED = Issued("soon", key=SOON.key)
#: The same name as `SOON`, but another key.
NAMESAKE = Issued("soon")
GONE = Issued("gone", valid=-9 * DAY)
GONE_INTERMEDIATE = Issued("intermediate", ROOT, valid=-DAY, key=INTERMEDIATE.key)
CLIENT = Issued("client", INTERMEDIATE, is_ca=False)


def fingerprints(*issued: Issued) -> str:
    return " ".join(
        hashlib.sha256(ssl.PEM_cert_to_DER_cert(each.pem)).hexdigest() for each in issued
    )


def health(
    visitor: Visitor, engine: Engine, verified: str | None = None, **record: Any
) -> tuple[str, str]:
    number = rows.record(engine, "plant-7", tls=True, **record)
    rows.status(engine, number, verified_chain=verified)
    return judged(visitor)


def bundle(*issued: Issued) -> str:
    return "".join(each.pem for each in issued)


SERVER = "0" * 64
#: A bundle, the chain that was verified last, and whether health warns.
BUNDLES: list[tuple[str, str | None, bool]] = [
    # Nobody needs the old root, whether or not that is known.
    (bundle(GONE, ROOT), None, False),
    (bundle(GONE, ROOT), f"{SERVER} {fingerprints(ROOT)}", False),
    (bundle(SOON, ROOT), f"{SERVER} {fingerprints(ROOT)}", False),
    # What the broker is verified by ends soon, whatever else is there.
    (bundle(SOON), None, True),
    (bundle(SOON), f"{SERVER} {fingerprints(SOON)}", True),
    (bundle(SOON, ROOT), f"{SERVER} {fingerprints(SOON)}", True),
    (bundle(SOON, NAMESAKE), f"{SERVER} {fingerprints(SOON)}", True),
    # Nobody knows yet which of the two it is.
    (bundle(SOON, ROOT), None, True),
    (bundle(SOON, ROOT), f"{SERVER} {fingerprints(GONE)}", True),
    # Another with the same name and key takes its place.
    (bundle(SOON, RENEWED), None, False),
    (bundle(RENEWED, SOON), f"{SERVER} {fingerprints(SOON)}", False),
    # An intermediate that is trusted by itself needs no root.
    (bundle(INTERMEDIATE, GONE), f"{SERVER} {fingerprints(INTERMEDIATE)}", False),
    (bundle(GONE), None, True),
    (bundle(GONE), "no fingerprints", True),
]


@pytest.mark.parametrize(("text", "verified", "warns"), BUNDLES)
@ONE_DATABASE
def test_a_ca_counts_if_the_broker_is_verified_by_it(
    operator: Visitor, worker: Engine, text: str, verified: str | None, warns: bool
) -> None:
    status, output = health(operator, worker, verified, tls_ca_pem=text)
    assert status == ("warn" if warns else "pass"), output
    assert ("CA certificate" in output) == warns


@ONE_DATABASE
def test_without_verification_no_ca_counts(operator: Visitor, worker: Engine) -> None:
    assert health(operator, worker, tls_ca_pem=GONE.pem, tls_verify=False)[0] == "pass"


@pytest.mark.parametrize(
    ("text", "warns"),
    [
        (bundle(CLIENT, INTERMEDIATE, GONE), False),
        (bundle(CLIENT, INTERMEDIATE, Issued("old intermediate", ROOT, valid=-DAY)), False),
        (bundle(GONE, CLIENT, INTERMEDIATE), True),
        (bundle(CLIENT, GONE_INTERMEDIATE), True),
        (bundle(SOON), True),
        (bundle(ROOT, INTERMEDIATE, CLIENT), False),
    ],
)
@ONE_DATABASE
def test_of_a_clients_chain_counts_what_leads_to_the_root(
    operator: Visitor, worker: Engine, text: str, warns: bool
) -> None:
    assert health(operator, worker, tls_client_cert_pem=text)[0] == ("warn" if warns else "pass")


@ONE_DATABASE
def test_the_expired_root_of_a_clients_chain_does_not_count(
    operator: Visitor, worker: Engine
) -> None:
    old = Issued("old root", valid=-DAY)
    text = bundle(Issued("client", old, is_ca=False), old)
    assert health(operator, worker, tls_client_cert_pem=text)[0] == "pass"


def test_both_databases_hold_the_chain(operator: Visitor, worker: Engine) -> None:
    verified = f"{SERVER} {fingerprints(ROOT)}"
    assert health(operator, worker, verified, tls_ca_pem=bundle(GONE, ROOT))[0] == "pass"
    page = operator.get("/admin/certificates/").text
    assert "CN=gone" in page
