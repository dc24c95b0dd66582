"""Rows C1 to C3: records that are broken, change all the time, or get another identity."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text

from database.words import ConnectionState as State
from tests.conftest import HOSTNAME
from tests.faults.figures import LONG, note
from tests.faults.oracle import Oracle
from tests.faults.stage import Stage, Subject
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.service.worker import ONE_DATABASE, ROOT, WorkerProcess, add

LONG_TEXT = "x" * 70_000
#: What plain SQL can write into a record and nobody can use.
CORRUPT: list[tuple[str, list[Any]]] = [
    ("name", ["a\nb", "a\tb"]),
    ("site", ["", " ", "a\nb", "a\x00b", "s" * 201]),
    ("host", ["", " ", "mqtt://x", "a b", "a..b", "-a", "a-", "a:1883", "a/b", "[::1"]),
    ("host", ["[a]", "x" * 300, "a\x00b", "a\r\nb", b"\xff\xfe", "."]),
    ("host", ["169.254.169.254", "2852039166", "0.0.0.0", "fe80::1%lo", "instance-data"]),
    ("port", [22, 5432, 0, -1, 65_536, 70_000, 2**40, "abc", "", 1.5, b"1883"]),
    ("client_id", ["", " ", "{", "}", "{x}", "{site.__class__}", "{site", "a\nb", "a\x00b"]),
    ("client_id", ["\x7f", LONG_TEXT, b"\xff"]),
    ("protocol", ["4", "", "AUTO", "3.1", "mqtt", b"5"]),
    ("keepalive_s", [0, -5, 65_536, 10**12, "soon", 2.5]),
    ("connect_timeout_s", [0, -1, 121, "never", 0.5]),
    ("session_expiry_s", [-1, 2**32, "never"]),
    ("clean_session", [2, "maybe"]),
    ("tls", [7, "on please"]),
    ("tls_verify", [-1, "no"]),
    ("username", ["a\x00b", LONG_TEXT, b"\xff"]),
    ("password", ["junk", "gAAAA", b"\x00"]),
    ("tls_ca_pem", ["junk", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]),
    ("tls_client_cert_pem", ["junk", "-----BEGIN CERTIFICATE-----"]),
    ("tls_client_key_pem", ["junk"]),
    ("status_topic", ["", "a/#", "+/a", "$SYS/a", "a\x00b", "{x}", "{", LONG_TEXT, b"\xff"]),
    ("online_payload", ["a\x00b", LONG_TEXT, b"\xff"]),
    ("offline_payload", ["a\x00b", LONG_TEXT, b"\xff"]),
    ("status_qos", [3, -1, 2**40, "x", 1.5]),
    ("status_retain", [5, "x"]),
    ("announce_who", [5]),
    ("self_ping_s", [-1, 3601, "x"]),
]
#: What subscriptions can say that no broker understands.
CORRUPT_FILTERS: list[tuple[Any, Any]] = [
    *[(each, 1) for each in ("", "a/#/b", "a+", "#a", "$share/", "$share/g/", "$share//x")],
    *[(each, 1) for each in ("a\x00b", LONG_TEXT, b"\xff")],
    *[("a", qos) for qos in (3, -1, "x", 2**40)],
]
#: Until every broken row is told, seconds.
ISOLATED_WITHIN = 10.0

#: Changes a second, for so many seconds, of so many records.
SWITCHES: list[tuple[str, Any]] = [("is_enabled", True), ("is_enabled", False)]
RATE, SECONDS, RECORDS = 100, 10.0 if LONG else 3.0, 8
IMPORTED = 1000 if LONG else 150
#: Until all is as it was last wanted, seconds; a client id connects once a second at most.
SETTLED_WITHIN = 10.0


# --- C1


def _corrupt_rows(port: int) -> Iterator[tuple[dict[str, Any], list[tuple[Any, Any]]]]:
    """Yield columns and subscriptions of each broken record."""
    whole = {"host": "127.0.0.1", "port": port, "username": "u"}
    every = [(column, value) for column, values in CORRUPT for value in values]
    for number, (column, value) in enumerate(every):
        own = {"name": f"bad-{column}-{number}", "site": f"bad-{column}-{number}"}
        yield {**own, **whole, column: value}, []
    for number, subscription in enumerate(CORRUPT_FILTERS):
        own = {"name": f"bad-filter-{number}", "site": f"bad-filter-{number}"}
        yield {**own, **whole}, [subscription]


def _insert(engine: Engine, rows: list[tuple[dict[str, Any], list[tuple[Any, Any]]]]) -> list[int]:
    """Write the rows by plain SQL, and tell the worker as the web does; return their ids."""
    ids = []
    with engine.begin() as transaction:
        for columns, subscriptions in rows:
            names, places = ", ".join(columns), ", ".join(f":{name}" for name in columns)
            done = transaction.execute(
                text(f"INSERT INTO connection ({names}) VALUES ({places}) RETURNING id"), columns
            )
            ids.append(int(done.scalar_one()))
            for topic_filter, qos in subscriptions:
                transaction.execute(
                    text(
                        "INSERT INTO subscription (connection_id, topic_filter, qos)"
                        " VALUES (:id, :filter, :qos)"
                    ),
                    {"id": ids[-1], "filter": topic_filter, "qos": qos},
                )
        transaction.execute(text("UPDATE config_version SET version = version + 1"))
    return ids


def test_c1_every_broken_row_costs_only_itself(oracle: Oracle, stage: Stage) -> None:
    rows = list(_corrupt_rows(stage.mosquitto.port))
    assert len(rows) >= 100
    for (columns, _), number in zip(rows, _insert(stage.engine, rows), strict=True):
        oracle.subjects.append(Subject(stage, columns["name"], number))
    good = oracle.add(stage.mosquitto.port)
    started = time.monotonic()
    ids = {subject.id for subject in oracle.subjects} - {good.id}
    stage.wait_for(
        lambda: _states(stage, ids) == {State.CONFIG_ERROR}, ISOLATED_WITHIN, "all to be told"
    )
    note("C1", f"{len(rows)} kinds of broken rows: all told after", time.monotonic() - started)
    good.wait(State.CONNECTED)


def _states(stage: Stage, ids: set[int]) -> set[str]:
    return {said["state"] for said in stage.health()["connections"] if said["id"] in ids}


# --- C2


def test_c2_a_hundred_changes_a_second_end_in_what_was_wanted_last(
    oracle: Oracle, scripted_broker: ScriptedBroker
) -> None:
    subjects = [oracle.add(scripted_broker.port) for _ in range(RECORDS)]
    for number in range(int(RATE * SECONDS)):
        subject = random.choice(subjects)
        column, value = random.choice([*SWITCHES, ("username", f"u{number}")])
        subject.change(**{column: value})
        time.sleep(1 / RATE)
    wanted = {subject: number % 2 == 0 for number, subject in enumerate(subjects)}
    for subject, enabled in wanted.items():
        subject.change(is_enabled=enabled)
    started = time.monotonic()
    for subject, enabled in wanted.items():
        subject.wait(State.CONNECTED if enabled else State.DISABLED, seconds=SETTLED_WITHIN)
    note("C2", f"{RATE} changes a second: settled after", time.monotonic() - started)
    assert scripted_broker.open_now == sum(wanted.values())
    assert _shortest_gap(scripted_broker) >= 0.95


def _shortest_gap(broker: ScriptedBroker) -> float:
    """Return the shortest time between two CONNECTs of one client id, seconds."""
    moments: dict[str, list[float]] = defaultdict(list)
    for session in broker.sessions:
        if session.connect is not None and session.connected_at is not None:
            moments[session.connect.client_id].append(session.connected_at)
    gaps = [b - a for each in moments.values() for a, b in pairwise(each)]
    return min(gaps)


def test_c2_a_mass_import_is_followed(oracle: Oracle, stage: Stage, tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    shared = {"host": "127.0.0.1", "port": stage.mosquitto.port}
    names = [f"import-{number}" for number in range(IMPORTED)]
    path.write_text(json.dumps([{"name": name, "site": name, **shared} for name in names]))
    started = time.monotonic()
    command = [sys.executable, "-m", "webapp", "connections", "import", str(path)]
    subprocess.run(command, check=True, cwd=ROOT, env=stage.environment, capture_output=True)
    with stage.engine.connect() as transaction:
        rows = transaction.execute(
            text("SELECT id, name FROM connection WHERE name LIKE 'import%'")
        )
        oracle.subjects += [Subject(stage, name, number) for number, name in rows]
    total = len(stage.neighbours) + IMPORTED
    stage.wait_for(
        lambda: stage.health()["summary"]["connected"] == total, 30.0, f"{total} connections"
    )
    note("C2", f"import of {IMPORTED} records: all connected after", time.monotonic() - started)


# --- C3


def test_c3_another_site_is_another_client_id_and_nothing_is_left_of_the_old(
    oracle: Oracle, stage: Stage
) -> None:
    with Observer(stage.mosquitto.port, ("+/backend/status",)) as onlooker:
        subject = oracle.add(stage.mosquitto.port)
        subject.wait(State.CONNECTED)
        subject.change(site="elsewhere")
        said = _wait_until_applied(subject)
        assert said["client_id"] == f"elsewhere_{HOSTNAME}"
        old, new = f"{subject.name}/backend/status", "elsewhere/backend/status"
        onlooker.wait_for_latest({old: b"offline", new: b"online"})
    assert _connected_ids(stage.mosquitto, subject.name) == set()
    assert _connected_ids(stage.mosquitto, "elsewhere") == {f"elsewhere_{HOSTNAME}"}


def _wait_until_applied(subject: Subject) -> dict[str, Any]:
    def applied() -> bool:
        said = subject.told()
        return bool(said["applied"] and said["state"] == State.CONNECTED)

    subject.stage.wait_for(applied, 5.0, f"the edit of {subject.name}")
    return subject.told()


@ONE_DATABASE
def test_c3_a_renamed_machine_is_another_client_id(
    engine: Engine,
    mosquitto: Mosquitto,
    tmp_path: Path,
    process_environment: dict[str, str],
) -> None:
    add(engine, "plant", mosquitto.port)
    for hostname in ("before", "after"):
        environment = process_environment | {"HAWSER_HOSTNAME": hostname}
        with WorkerProcess(tmp_path, environment, engine) as worker:
            worker.wait_for_states({"plant": State.CONNECTED})
            assert _connected_ids(mosquitto, "plant") == {f"plant_{hostname}"}


def _connected_ids(broker: Mosquitto, beginning: str) -> set[str]:
    """Return the client ids with this beginning that are connected, as the broker logged it."""
    connected: set[str] = set()
    for line in broker.log().splitlines():
        words = line.split()
        if " as " in line and (name := words[words.index("as") + 1]).startswith(beginning):
            connected.add(name)
        elif len(words) > 2 and words[1] == "Client":
            connected.discard(words[2])
    return connected
