"""The worker does what the records say, and writes down what is so."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, text

from database.words import ConnectionState as State
from mqttworker.ports.store import Store
from tests.conftest import HOSTNAME
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer, retained
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import SUBACK_FAILURE, refuse
from tests.worker.service.worker import (
    ONE_DATABASE,
    WorkerProcess,
    add,
    change,
    events,
    heartbeat,
    status,
)


def test_an_enabled_record_connects_with_its_fixed_client_id(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    add(engine, "site_88", scripted_broker.port, "site_88/#")
    worker.start()
    worker.wait_for_states({"site_88": State.CONNECTED})
    connect = scripted_broker.connects[0]
    assert connect.client_id == f"site_88_{HOSTNAME}"
    assert connect.clean_start
    assert connect.will is not None
    assert (connect.will.topic, connect.will.payload) == ("site_88/backend/status", b"offline")
    assert connect.will.retain
    row = status(engine, "site_88")
    assert row.client_id == f"site_88_{HOSTNAME}"
    assert row.protocol_negotiated == "5"
    assert row.applied_revision == 1


def test_states_and_events_tell_the_way_to_connected(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    connection_id = add(engine, "plant", mosquitto.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    assert events(engine, connection_id) == [
        ("connecting", "worker_start"),
        ("connected", "success"),
    ]
    worker.child.wait_for(
        lambda: heartbeat(engine, worker.child.pid)["connected"] == 1, 5.0, "1 in the heartbeat"
    )
    assert heartbeat(engine, worker.child.pid)["hostname"] == HOSTNAME


def test_a_record_enabled_later_is_followed_within_two_seconds(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    add(engine, "first", mosquitto.port)
    second = add(engine, "second", mosquitto.port, is_enabled=False)
    worker.start()
    worker.wait_for_states({"first": State.CONNECTED})
    since = status(engine, "first").connected_since
    change(engine, "second", is_enabled=True)
    worker.wait_for_states({"second": State.CONNECTED}, seconds=2.0)
    change(engine, "second", is_enabled=False)
    worker.wait_for_states({"second": State.DISABLED}, seconds=2.0)
    assert retained(mosquitto.port, ("+/backend/status",), 2) == {
        "first/backend/status": b"online",
        "second/backend/status": b"offline",
    }
    told = events(engine, second)
    assert told[0][1] == "enabled"
    assert told[-1] == (State.DISABLED, "disabled")
    assert status(engine, "first").connected_since == since


def test_plain_sql_is_followed_by_the_monitor(
    engine: Engine,
    mosquitto: Mosquitto,
    worker: WorkerProcess,
    process_environment: dict[str, str],
) -> None:
    process_environment["HAWSER_MONITOR_INTERVAL"] = "1"
    add(engine, "plant", mosquitto.port, is_enabled=False)
    add(engine, "other", mosquitto.port)
    worker.start()
    worker.wait_for_states({"other": State.CONNECTED})
    change(engine, "plant", bump=False, is_enabled=True)
    worker.wait_for_states({"plant": State.CONNECTED}, seconds=5.0)


def test_an_edit_reconnects_only_its_record(
    engine: Engine, mosquitto: Mosquitto, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    moved = add(engine, "moved", mosquitto.port)
    add(engine, "still", mosquitto.port)
    worker.start()
    worker.wait_for_states({"moved": State.CONNECTED, "still": State.CONNECTED})
    since = status(engine, "still").connected_since
    change(engine, "moved", port=scripted_broker.port, revision=2)
    worker.child.wait_for(
        lambda: status(engine, "moved").applied_revision == 2, 2.0, "the edit to be applied"
    )
    worker.wait_for_states({"moved": State.CONNECTED}, seconds=3.0)
    assert ("stopping", "config_changed") in events(engine, moved)
    assert scripted_broker.connects
    assert status(engine, "still").connected_since == since
    change(engine, "still", notes="by the door", revision=2)
    worker.child.wait_for(
        lambda: status(engine, "still").applied_revision == 2, 2.0, "the note to be seen"
    )
    assert status(engine, "still").connected_since == since


def test_a_note_leaves_what_a_record_says_of_its_connection_as_it_was(engine: Engine) -> None:
    connection_id = add(engine, "plant", 1883, "plant/#")
    wishes = Store(engine, boot_id="boot", hostname="host").wishes
    before = wishes.load_records()[connection_id]
    change(engine, "plant", notes="by the door", revision=2)
    after = wishes.load_records()[connection_id]
    # The very same: nothing was parsed.
    assert after.spec is before.spec
    assert (before.revision, after.revision) == (1, 2)
    change(engine, "plant", port=1884, revision=3)
    moved = wishes.load_records()[connection_id]
    assert moved.spec is not None
    assert (moved.spec.port, moved.revision) == (1884, 3)


@ONE_DATABASE
def test_a_refused_subscription_is_degraded_and_names_the_filter(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    scripted_broker.script = SUBACK_FAILURE
    add(engine, "plant", scripted_broker.port, "secret/#")
    worker.start()
    worker.wait_for_states({"plant": State.DEGRADED})
    row = status(engine, "plant")
    assert (row.reason_code, row.raw_code) == ("subscribe_refused", 0x80)
    assert row.detail == {"filters": "secret/#"}


@ONE_DATABASE
def test_a_refusal_waits_for_the_operator_and_is_tried_again_slowly(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    scripted_broker.script = refuse(0x86)
    add(engine, "plant", scripted_broker.port)
    worker.start()
    worker.wait_for_states({"plant": State.REFUSED})
    row = status(engine, "plant")
    assert row.reason_code == "bad_user_name_or_password"
    assert 50 < (row.next_attempt_at - row.since).total_seconds() <= 60
    assert len(scripted_broker.connects) == 1


@ONE_DATABASE
def test_a_broker_that_knows_only_3_1_1_is_met_in_3_1_1(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    scripted_broker.next_scripts.append(refuse(1))
    add(engine, "plant", scripted_broker.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    assert [connect.version for connect in scripted_broker.connects] == [5, 4]
    assert status(engine, "plant").protocol_negotiated == "3.1.1"


def test_received_messages_are_counted(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    add(engine, "plant", mosquitto.port, "plant/data/#")
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    with Observer(mosquitto.port) as observer:
        for number in range(20):
            observer.publish("plant/data/1", f"{number:02}")
    worker.child.wait_for(lambda: status(engine, "plant").messages_in == 20, 15.0, "20 messages")
    row = status(engine, "plant")
    assert row.bytes_in == 40
    assert row.last_message_at is not None


def test_corrupt_rows_cost_only_themselves(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    add(engine, "good", mosquitto.port)
    bad: dict[str, dict[str, Any]] = {
        "port": {"port": 70_000},
        "host": {"host": ""},
        "client": {"client_id": "x" * 70_000},
        "template": {"client_id": "{site.__class__}"},
        "protocol": {"protocol": "4"},
        "secret": {"username": "u"},
        "qos": {"status_qos": 9},
        "topic": {"status_topic": "a/#"},
    }
    for name, columns in bad.items():
        add(engine, name, columns.pop("port", mosquitto.port), **columns)
    add(engine, "filter", mosquitto.port, "a/#/b")
    add(engine, "rival", mosquitto.port, site="good")
    with engine.begin() as transaction:
        transaction.execute(text("UPDATE connection SET password='junk' WHERE name='secret'"))
    worker.start()
    worker.wait_for_states({"good": State.CONNECTED})
    worker.wait_for_states(dict.fromkeys([*bad, "filter", "rival"], State.CONFIG_ERROR))
    assert status(engine, "secret").reason_code == "secret_undecryptable"
    assert status(engine, "rival").reason_code == "same_client_id"
    assert status(engine, "port").detail["field"] == "port"
    change(engine, "port", port=mosquitto.port)
    worker.wait_for_states({"port": State.CONNECTED}, seconds=3.0)
