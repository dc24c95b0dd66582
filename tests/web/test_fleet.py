"""The fleet view: what is said once instead of once a connection."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Engine

from database.clock import database_now
from database.words import ConnectionState as S
from tests.web import rows
from tests.web.conftest import Visitor
from tests.worker.service.worker import ONE_DATABASE


def lose(engine: Engine, name: str, ago: float, state: S = S.BACKOFF, **record: Any) -> int:
    number = rows.record(engine, name, **record)
    rows.status(engine, number, state, reason_code="peer_closed", down_since=database_now(-ago))
    return number


def keep(engine: Engine, name: str, **record: Any) -> None:
    rows.status(engine, rows.record(engine, name, **record))


def told(visitor: Visitor) -> list[str]:
    """Return what the dashboard says of outages."""
    return re.findall(r"<strong>(.* the records)\.</strong>", visitor.get("/admin/").text)


def test_losses_of_most_connections_of_a_broker_are_told_once(
    operator: Visitor, worker: Engine
) -> None:
    for number in range(7):
        lose(worker, f"plant-{number}", 600 + number * 0.25, host="Broker.example", port=8883)
    keep(worker, "elsewhere", host="other.example")
    assert told(operator) == [
        "7 of 7 connections to Broker.example:8883 lost within 2 s: the broker or the network, "
        "not the records"
    ]
    page = operator.get("/admin/").text
    outage, table = page[page.index('id="fleet"') :].split("<table", 1)
    assert "All other connections" in table
    assert ">elsewhere<" in table
    assert all(f">plant-{number}<" in outage for number in range(7))
    assert ">plant-" not in table


@ONE_DATABASE
def test_half_of_a_broker_or_a_single_connection_is_no_outage(
    operator: Visitor, worker: Engine
) -> None:
    lose(worker, "alone", 60, host="small.example")
    for number in range(2):
        lose(worker, f"lost-{number}", 60, host="half.example")
        keep(worker, f"kept-{number}", host="half.example")
    assert told(operator) == []


@ONE_DATABASE
def test_losses_far_apart_are_no_outage_but_one_straggler_does_not_hide_it(
    operator: Visitor, worker: Engine
) -> None:
    for number in range(4):
        lose(worker, f"apart-{number}", 60 + number * 3, host="slow.example")
    for number in range(3):
        lose(worker, f"plant-{number}", 60 + number, host="broker.example")
    lose(worker, "earlier", 3600, host="broker.example")
    assert [sentence[:38] for sentence in told(operator)] == [
        "3 of 4 connections to broker.example:1"
    ]


@ONE_DATABASE
def test_disabled_connections_and_other_ports_do_not_count(
    operator: Visitor, worker: Engine
) -> None:
    for number in range(2):
        lose(worker, f"plant-{number}", 60)
        lose(worker, f"off-{number}", 60, S.DISABLED, is_enabled=False)
        keep(worker, f"tls-{number}", port=8883)
    assert told(operator)[0].startswith("2 of 2 connections to broker.example:1883")


@ONE_DATABASE
def test_what_a_silent_worker_last_said_is_no_outage(operator: Visitor, engine: Engine) -> None:
    rows.heartbeat(engine, age=60)
    for number in range(3):
        lose(engine, f"plant-{number}", 70)
    assert told(operator) == []


@ONE_DATABASE
def test_the_largest_outage_comes_first(operator: Visitor, worker: Engine) -> None:
    for number in range(5):
        lose(worker, f"plant-{number}", 60, host=f"broker-{number % 2}.example")
    assert [re.findall(r"to (\S+):", sentence) for sentence in told(operator)] == [
        ["broker-0.example"],
        ["broker-1.example"],
    ]
