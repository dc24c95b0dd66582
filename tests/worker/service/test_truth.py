"""What a session says of itself stays true, and shows when it is not."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from sqlalchemy import Engine

from database.reasons import explain
from database.session import make_engine
from database.words import Certainty
from database.words import ConnectionState as State
from tests.conftest import HOSTNAME
from tests.support import packets
from tests.support.databases import Databases
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.service.asking import ask, finished
from tests.worker.service.worker import (
    ONE_DATABASE,
    WorkerProcess,
    add,
    events,
    heartbeat,
    status,
)

pytestmark = ONE_DATABASE

STATUS = "plant/backend/status"
WHO = f"{STATUS}/who"


def test_the_broker_learns_who_runs_the_client(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    add(engine, "plant", mosquitto.port)
    add(engine, "quiet", mosquitto.port, announce_who=False)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED, "quiet": State.CONNECTED})
    beat = heartbeat(engine, worker.child.pid)
    with Observer(mosquitto.port) as observer:
        observer.wait(lambda: observer.of(WHO))
        observer.wait(lambda: observer.of("quiet/backend/status"))
    assert json.loads(observer.of(WHO)[0].payload) == {
        key: beat[key] for key in ("worker_id", "hostname", "pid", "boot_id")
    }
    assert observer.of(WHO)[0].retain
    assert not observer.of("quiet/backend/status/who")


def test_a_status_that_others_left_wrong_is_corrected(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    add(engine, "plant", mosquitto.port)
    # The same, where a Topic Filter of the record covers the status topic.
    add(engine, "greedy", mosquitto.port, "greedy/#")
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED, "greedy": State.CONNECTED})
    with Observer(mosquitto.port, ("+/backend/status",)) as observer:
        for topic in (STATUS, "greedy/backend/status"):
            observer.wait_for(topic, b"online")
            observer.publish(topic, b"offline", retain=True)
            wrong = observer.wait_for(topic, b"offline")
            right = observer.wait_for(topic, b"online", after=wrong.at)
            assert right.at - wrong.at < 2.0
    assert worker.child.output().count("the status topic was wrong, corrected") == 2


def test_the_rival_is_named_where_it_left_its_name(
    tmp_path: Path,
    engine: Engine,
    mosquitto: Mosquitto,
    worker: WorkerProcess,
    databases: Databases,
    process_environment: dict[str, str],
) -> None:
    add(engine, "plant", mosquitto.port)
    add(engine, "other", mosquitto.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED, "other": State.CONNECTED})
    home = tmp_path / "clone"
    home.mkdir()
    with databases.migrated() as url:
        theirs = make_engine(url)
        add(theirs, "plant", mosquitto.port)
        settings = {"HAWSER_HOME": str(home), "HAWSER_DATABASE_URL": url, "NAME": "clone"}
        with WorkerProcess(tmp_path, process_environment | settings, theirs) as clone:
            worker.wait_for_states({"plant": State.COOLDOWN}, seconds=20.0)
            clone.wait_for_states({"plant": State.CONNECTED})
            row = status(engine, "plant")
            assert (row.reason_code, row.certainty) == ("duplicate_client_id", Certainty.CERTAIN)
            assert row.detail["pid"] == clone.child.pid
            assert f"process {clone.child.pid} on host {HOSTNAME}" in explain(
                row.reason_code, row.detail
            )
            assert status(engine, "other").state == State.CONNECTED
        theirs.dispose()


def test_traffic_that_does_not_flow_is_seen_and_ended(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    # It acknowledges everything and forwards nothing.
    number = add(engine, "plant", scripted_broker.port, self_ping_s=1)
    worker.start()
    worker.child.wait_for(
        lambda: (State.BACKOFF, "self_ping_failed") in events(engine, number), 20.0, "a reconnect"
    )
    story = events(engine, number)
    missed = story.index((State.DEGRADED, "self_ping_missed"))
    assert story[missed - 1 : missed + 2] == [
        (State.CONNECTED, "success"),
        (State.DEGRADED, "self_ping_missed"),
        (State.BACKOFF, "self_ping_failed"),
    ]


def test_the_round_trip_is_written_down(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    add(engine, "plant", mosquitto.port, self_ping_s=1, keepalive_s=7)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    worker.child.wait_for(
        lambda: status(engine, "plant").round_trip_ms is not None, 20.0, "a round trip"
    )
    row = status(engine, "plant")
    assert 0 < row.round_trip_ms < 1000
    assert (row.keepalive_s, row.messages_in) == (7, 0)


@pytest.mark.parametrize(
    ("script", "qos"),
    [
        (Script(close_on_filter=STATUS), 1),
        (Script(close_on_topic=WHO), 1),
        (Script(close_on_topic=WHO), 0),
    ],
    ids=["watch", "name", "status with QoS 0"],
)
def test_a_broker_that_forbids_our_own_topics_still_gets_a_connection(
    engine: Engine,
    scripted_broker: ScriptedBroker,
    worker: WorkerProcess,
    script: Script,
    qos: int,
) -> None:
    scripted_broker.script = script
    number = add(engine, "plant", scripted_broker.port, status_qos=qos)
    worker.start()
    assert len(scripted_broker.wait_for_connects(3, seconds=20.0)) == 3
    third = scripted_broker.sessions[-1]
    scripted_broker.wait(lambda: third.publishes)
    worker.wait_for_states({"plant": State.CONNECTED})
    assert (third.filters, third.ending) == ([], None)
    assert State.COOLDOWN not in {state for state, _ in events(engine, number)}


def test_a_broker_that_says_that_our_name_is_not_allowed_is_believed_at_once(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    not_authorized = packets.disconnect(0x87)
    scripted_broker.script = Script(close_on_topic=WHO, last_words=not_authorized)
    number = add(engine, "plant", scripted_broker.port)
    worker.start()
    worker.wait_for_states({"plant": State.REFUSED})
    finished(engine, ask(engine, "reconnect", number))
    worker.wait_for_states({"plant": State.CONNECTED})
    second = scripted_broker.sessions[-1]
    worker.child.stop(signal.SIGTERM)
    scripted_broker.wait(lambda: second.ending)
    assert [item.topic for item in second.publishes] == [STATUS, STATUS]
    assert second.ending == "disconnect"
