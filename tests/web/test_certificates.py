"""When certificates expire: on their page and in health."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from database.clock import database_now
from database.words import ConnectionState as S
from tests.support.certificates import Authority
from tests.web import rows
from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE
from webapp import certificates
from webapp.wording import texts

PAGE = "/admin/certificates/"
HEALTH = "/api/v1/mqtt/health/"
DAY = timedelta(days=1)
#: So that no test ends on another day than it began.
HOURS = timedelta(hours=2)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "Harbour CA")


def client(authority: Authority, name: str, valid: timedelta) -> str:
    """Return a certificate that is valid for that long from now, or was until then."""
    start = datetime.now(UTC) - 100 * DAY
    return authority.issue(name, start=start, valid=100 * DAY + valid).certificate_pem


def connected(engine: Engine, name: str, **record: Any) -> int:
    number = rows.record(engine, name, tls=True, **record)
    rows.status(engine, number)
    return number


def shown(visitor: Visitor) -> list[tuple[str, str, str]]:
    """Return (state, expiry, kind) of each row."""
    return re.findall(
        r'<td data-label="State"><span[^>]*><span[^>]*>[^<]*</span> ([^<]*)</span></td>\s*'
        r'<td data-label="Expires"[^>]*><div>([^<]*).*?</td>\s*'
        r'<td data-label="Kind"[^>]*>([^<]*)<',
        html.unescape(visitor.get(PAGE).text),
        re.DOTALL,
    )


def judged(visitor: Visitor, query: str = "") -> tuple[str, str]:
    found = json.loads(visitor.get(HEALTH + query).text)
    return found["status"], found["output"]


def test_every_certificate_is_listed_and_the_first_to_expire_is_first(
    operator: Visitor, worker: Engine, authority: Authority
) -> None:
    both = authority.pair.certificate_pem + client(authority, "second", 21 * DAY + HOURS)
    connected(worker, "a", tls_ca_pem=both)
    connected(worker, "b", tls_client_cert_pem=client(authority, "gone", -3 * DAY - HOURS))
    connected(worker, "c", tls_client_cert_pem=client(authority, "soon", 9 * DAY + HOURS))
    number = connected(worker, "d")
    rows.sql(
        worker,
        "update connection_status set broker_cert_subject = 'CN=broker' where connection_id = :id",
        id=number,
    )
    assert shown(operator)[1:] == [
        ("expired", "expired 3 days ago", "client certificate"),
        ("under 14 days", "in 9 days", "client certificate"),
        ("under 30 days", "in 21 days", "CA certificate"),
        ("fine", "in 364 days", "CA certificate"),
    ]
    assert shown(operator)[0] == ("not known", texts.NOTHING, "broker's certificate")
    page = operator.get(PAGE).text
    assert "CN=Harbour CA" in page
    assert "CN=soon" in page


@ONE_DATABASE
def test_a_certificate_that_many_records_share_is_one_row(
    operator: Visitor, worker: Engine, authority: Authority
) -> None:
    for number in range(5):
        connected(worker, f"plant-{number}", tls_ca_pem=authority.pair.certificate_pem)
    rows.record(worker, "plain", tls_ca_pem=authority.pair.certificate_pem)
    page = operator.get(PAGE).text
    assert len(shown(operator)) == 1
    assert "plant-2</a>" in page
    assert "and 2 more" in page
    assert "plain" not in page


@ONE_DATABASE
def test_what_is_no_certificate_is_shown_and_breaks_nothing(
    operator: Visitor, worker: Engine
) -> None:
    connected(worker, "broken", tls_ca_pem="-----BEGIN CERTIFICATE-----\nAAAA")
    connected(worker, "bytes")
    rows.sql(worker, "update connection set tls_client_cert_pem = x'ff00' where name = 'bytes'")
    assert [state for state, _, _ in shown(operator)] == ["not known"] * 2
    assert judged(operator)[0] == "pass"


@ONE_DATABASE
def test_without_certificates_the_page_says_what_will_appear(
    operator: Visitor, worker: Engine
) -> None:
    assert "No connection uses TLS with certificates yet." in operator.get(PAGE).text


def test_health_warns_14_days_before_and_names_the_connection_only(
    anonymous: Visitor, worker: Engine, authority: Authority
) -> None:
    connected(
        worker, "plant-7", tls_client_cert_pem=client(authority, "secret-subject", 9 * DAY + HOURS)
    )
    connected(worker, "plant-8", tls_client_cert_pem=client(authority, "longer", 14 * DAY + HOURS))
    sentence = "Certificate of plant-7 (client certificate) expires in 9 days"
    assert judged(anonymous) == ("warn", sentence)
    assert anonymous.get(HEALTH + "?strict=1").status_code == 503
    assert "secret-subject" not in anonymous.get(HEALTH).text
    assert judged(anonymous, "?connection=plant-8")[0] == "pass"


@ONE_DATABASE
def test_a_new_certificate_ends_the_warning_at_once(
    operator: Visitor, worker: Engine, authority: Authority
) -> None:
    connected(worker, "plant-7", tls_client_cert_pem=client(authority, "old", -5 * HOURS / 2))
    assert judged(operator)[1] == "Certificate of plant-7 (client certificate) expired 5 hours ago"
    assert "expired 5 hours ago" in operator.get("/admin/").text
    with worker.begin() as transaction:
        transaction.exec_driver_sql("update connection set tls_client_cert_pem = null")
        transaction.exec_driver_sql("update config_version set version = version + 1")
    assert judged(operator)[0] == "pass"


@ONE_DATABASE
def test_plain_sql_is_noticed_when_what_was_read_is_old(
    operator: Visitor, worker: Engine, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected(worker, "plant-7")
    assert judged(operator)[0] == "pass"
    with worker.begin() as transaction:
        transaction.exec_driver_sql(
            "update connection set tls_client_cert_pem = ?", (client(authority, "x", DAY),)
        )
    assert judged(operator)[0] == "pass"
    monkeypatch.setattr(certificates, "TRUSTED_S", 0.0)
    rows.sql(worker, "update worker_heartbeat set hub_lag_ms = 4")
    assert judged(operator)[0] == "warn"


@ONE_DATABASE
def test_health_looks_at_what_the_broker_presents_and_at_enabled_connections_only(
    operator: Visitor, worker: Engine, authority: Authority
) -> None:
    soon = client(authority, "soon", DAY)
    connected(worker, "off", is_enabled=False, tls_client_cert_pem=soon)
    assert judged(operator)[0] == "pass"
    for number in range(4):
        met = rows.record(worker, f"met-{number}", tls=True)
        expires = database_now(3600.0 * (number * 24 + 30.5))
        rows.status(worker, met, broker_cert_expires_at=expires)
    broker = "(broker's certificate) expires in"
    assert judged(operator) == (
        "warn",
        f"Certificate of met-0 {broker} 30 hours; certificate of met-1 {broker} 2 days; "
        f"certificate of met-2 {broker} 3 days; and 1 more",
    )


@ONE_DATABASE
def test_what_is_worse_is_said_first(
    operator: Visitor, worker: Engine, authority: Authority
) -> None:
    connected(worker, "plant-7", tls_client_cert_pem=client(authority, "soon", 9 * DAY + HOURS))
    rows.status(worker, rows.record(worker, "down"), S.REFUSED, reason_code="banned")
    status, output = judged(operator)
    assert status == "warn"
    assert output.startswith("1 of 2 enabled connections is not connected: down (refused, banned);")
    assert output.endswith("; certificate of plant-7 (client certificate) expires in 9 days")
    rows.sql(worker, "update connection_status set state = 'refused'")
    assert judged(operator)[0] == "fail"
