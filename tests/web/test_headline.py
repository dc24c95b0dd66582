"""The headline of dashboard and wall: its colour, its lines, and where they lead."""

from __future__ import annotations

import html
import re
import sqlite3
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, update

from database.clock import database_now
from database.models import ConnectionStatus, WorkerHeartbeat
from database.words import ConnectionState as S
from tests.web import rows
from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE

HEALTH = "/api/v1/mqtt/health/"


def beat(engine: Engine) -> None:
    """Let the worker have beaten just now, however slow this machine is."""
    with engine.begin() as transaction:
        transaction.execute(update(WorkerHeartbeat).values(beat_at=database_now()))


def add(engine: Engine, name: str, state: S = S.CONNECTED, ago: float = 600, **record: Any) -> int:
    number = rows.record(engine, name, **{"site": "plant", "client_id": name} | record)
    rows.status(engine, number, state, reason_code="banned", for_seconds=ago)
    if state in (S.BACKOFF, S.REFUSED):
        lost = update(ConnectionStatus).where(ConnectionStatus.connection_id == number)
        with engine.begin() as transaction:
            transaction.execute(lost.values(down_since=database_now(-ago)))
    return number


def headline(visitor: Visitor, engine: Engine) -> tuple[str, list[tuple[str, str]]]:
    """Return the tone and the (address, text) of each line."""
    visitor.get("/admin/")
    beat(engine)
    part = visitor.get("/admin/").text.partition('class="verdict ')[2].partition("</ul>")[0]
    lines = re.findall(r'<li><a href="([^"]*)">([^<]*)</a>', part)
    return part[: part.index('"')], [(html.unescape(url), text) for url, text in lines]


@ONE_DATABASE
def test_the_headline_is_short_lines_that_lead_to_what_they_count(
    operator: Visitor, worker: Engine
) -> None:
    for number in range(40):
        add(worker, f"fine-{number}")
    for number in range(2):
        add(worker, f"down-{number}", S.REFUSED, 600 + 10 * number)
    add(worker, "half", S.DEGRADED)
    tone, lines = headline(operator, worker)
    assert tone == "warn"
    assert lines == [
        ("/admin/connections/?show=failing", "2 of 43 connections are down."),
        ("/admin/connections/?state=degraded", "1 connection has a problem."),
    ]
    for address, text in lines:
        page = operator.get(address).text
        assert len(re.findall(r'data-name="', page)) == int(text.split()[0])
    assert json_status(operator) == "warn"


def json_status(visitor: Visitor) -> str:
    status = visitor.get("/api/v1/mqtt/health/").json
    assert status
    return str(status["status"])


@ONE_DATABASE
@pytest.mark.parametrize(
    ("down", "ago", "fine", "site", "tone"),
    [
        # A single one, whatever share that is; more than a tenth, but not for long; for long.
        (1, 600, 1, "north", "warn"),
        (3, 30, 20, "north", "warn"),
        (3, 600, 20, "north", "bad"),
        (2, 600, 20, "north", "warn"),
        # All of a site, or all there are.
        (2, 600, 50, "south", "bad"),
        (1, 600, 0, "north", "bad"),
    ],
)
def test_it_is_red_when_much_is_down(
    operator: Visitor, worker: Engine, down: int, ago: float, fine: int, site: str, tone: str
) -> None:
    for number in range(fine):
        add(worker, f"fine-{number}", site="north")
    for number in range(down):
        # Each at a time of its own: no outage of the broker.
        add(worker, f"down-{number}", S.REFUSED, ago + 3 * number, site=site)
    assert headline(operator, worker)[0] == tone
    assert (json_status(operator) == "fail") == (not fine), "health keeps its own meaning"


@ONE_DATABASE
def test_an_outage_of_a_broker_is_red(operator: Visitor, worker: Engine) -> None:
    for number in range(60):
        add(worker, f"fine-{number}", host="other.example")
    for number in range(2):
        add(worker, f"down-{number}", S.BACKOFF)
    assert headline(operator, worker)[0] == "bad"


@ONE_DATABASE
def test_one_certificate_is_told_once_with_its_connections(
    operator: Visitor, worker: Engine
) -> None:
    expires = datetime.now(UTC) + timedelta(days=5.5)
    for number in range(22):
        rows.status(
            worker,
            rows.record(worker, f"plant-{number}", tls=True, client_id=f"c{number}"),
            broker_cert_expires_at=expires,
            broker_cert_subject="CN=broker",
        )
    tone, lines = headline(operator, worker)
    text = "1 certificate needs renewal (22 connections): in 5 days."
    assert (tone, lines) == ("warn", [("/admin/certificates/", text)])
    health = operator.get("/api/v1/mqtt/health/").json
    assert health
    assert health["output"] == (
        "Certificate of plant-0 and 21 more (broker's certificate) expires in 5 days"
    )


@ONE_DATABASE
def test_what_never_worked_is_not_said_to_be_lost(operator: Visitor, worker: Engine) -> None:
    for number in range(3):
        new = rows.record(worker, f"new-{number}", client_id=f"c{number}")
        moment = database_now(-600)
        rows.status(worker, new, S.BACKOFF, down_since=moment, was_connected=False)
    assert "lost within" not in operator.get("/admin/").text
    rows.sql(worker, "update connection_status set was_connected = true")
    assert "3 of 3 connections to broker.example:1883 lost within" in operator.get("/admin/").text


def test_a_locked_database_is_no_silent_worker(operator: Visitor, worker: Engine) -> None:
    rows.record(worker)
    operator.get("/admin/")
    rows.sql(worker, "update worker_heartbeat set beat_at = '2026-01-01 00:00:00'")
    assert "Worker silent" in operator.get("/admin/").text
    # What was committed since makes the next picture a new one.
    rows.sql(worker, "update worker_heartbeat set hub_lag_ms = 1")
    *pages, health = with_locked(worker, operator, "/admin/", "/admin/workers/", HEALTH)
    for page in pages:
        assert "ilent" not in page
        assert "database" in page
    assert '"worker_waits"' in health
    rows.sql(worker, "update worker_heartbeat set hub_lag_ms = 2")
    assert "Worker silent" in operator.get("/admin/").text


def with_locked(engine: Engine, visitor: Visitor, *paths: str) -> list[str]:
    """Return pages while somebody holds the lock that the worker's next beat needs."""
    if engine.dialect.name == "sqlite":
        other = sqlite3.connect(str(engine.url.database), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        found = [visitor.get(path).text for path in paths]
        other.close()
        return found
    with engine.connect() as holder, engine.connect() as waiting:
        holder.exec_driver_sql("LOCK TABLE worker_heartbeat IN EXCLUSIVE MODE")
        beating = threading.Thread(target=_beat_in_vain, args=(waiting,))
        beating.start()
        while not holder.exec_driver_sql(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND datname = current_database()"
        ).scalar():
            pass
        found = [visitor.get(path).text for path in paths]
        holder.rollback()
        beating.join()
        return found


def _beat_in_vain(transaction: Any) -> None:
    transaction.exec_driver_sql("UPDATE worker_heartbeat SET hub_lag_ms = 1")
    transaction.rollback()


def test_what_is_disabled_stays_so_on_pages_while_no_worker_runs(
    operator: Visitor, engine: Engine
) -> None:
    rows.heartbeat(engine, age=42)
    off, on = rows.record(engine, "off", is_enabled=False), rows.record(engine, "on")
    for number, state in ((off, S.DISABLED), (on, S.CONNECTED)):
        rows.status(engine, number, state)
    page = operator.get("/admin/connections/").text
    states = [
        re.sub(r"<[^>]*>|\W", "", each)
        for each in re.findall(r'id="state-\d+">(.*?)</td>', page, re.DOTALL)
    ]
    assert sorted(states) == ["disabled", "unknown"]
    health = operator.get("/api/v1/mqtt/health/").json
    assert health
    assert health["summary"]["by_state"] == {"unknown": 2}
    assert {each["reason_code"] for each in health["connections"]} == {"worker_silent"}


@ONE_DATABASE
def test_a_recovery_does_not_stay_the_reason_of_what_works(
    operator: Visitor, worker: Engine
) -> None:
    number = rows.record(worker)
    rows.status(worker, number, reason_code="messages_stored_again")
    operator.get("/admin/")
    beat(worker)
    page = operator.get(f"/admin/connections/details/?id={number}").text
    assert "Received messages are stored again" not in page
    assert "The broker accepted the connection." in page
