"""Commands through the database: the real worker takes them, runs them and answers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, text

from database.words import CommandState, WorkerState
from database.words import ConnectionState as State
from tests.conftest import HOSTNAME
from tests.support.certificates import Certificates
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.process import free_port
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import (
    GOOD,
    NO_CONNACK,
    NO_PUBACK,
    NO_SUBACK,
    SILENT,
    SUBACK_FAILURE,
    Script,
    refuse,
)
from tests.worker.service.asking import (
    ACCEPTED_WITHIN,
    ask,
    draft,
    failing_step,
    finished,
    row_of,
    step,
    words,
)
from tests.worker.service.worker import (
    ONE_DATABASE,
    WorkerProcess,
    add,
    change,
    events,
    heartbeat,
    status,
)

CANARY = "canary-7b1f-password"


def test_reconnect_and_clear_cooldown_say_what_was_done(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    up = add(engine, "up", mosquitto.port)
    waiting = add(engine, "waiting", free_port())
    off = add(engine, "off", mosquitto.port, is_enabled=False)
    bad = add(engine, "bad", 0)
    worker.start()
    worker.wait_for_states(
        {"up": State.CONNECTED, "waiting": State.BACKOFF, "bad": State.CONFIG_ERROR}
    )
    before = status(engine, "up").connected_since
    asked = {
        "reconnecting": ask(engine, "reconnect", up),
        "cooldown_cleared": ask(engine, "clear_cooldown", waiting),
        "not_run": ask(engine, "reconnect", off),
        "not_usable": ask(engine, "reconnect", bad),
        "broken_parameters": ask(engine, "test", None, "not JSON"),
        "too_old": ask(engine, "reconnect", up, age=31),
    }
    for code, number in asked.items():
        assert finished(engine, number).result["code"] == code
    worker.child.wait_for(
        lambda: (since := status(engine, "up").connected_since) and since > before, 5.0, "a session"
    )
    assert (State.BACKOFF, "operator_reconnect") in events(engine, up)
    assert (State.BACKOFF, "operator_reconnect") in events(engine, waiting)
    assert finished(engine, ask(engine, "clear_cooldown", up)).result["code"] == "nothing_to_clear"
    assert row_of(engine, asked["reconnecting"]).state is CommandState.DONE
    assert row_of(engine, asked["too_old"]).state is CommandState.FAILED


@ONE_DATABASE
def test_a_command_that_cannot_be_read_is_answered_and_hurts_nobody(
    engine: Engine, worker: WorkerProcess
) -> None:
    worker.start()
    worker.wait_until_worker(WorkerState.RUNNING)
    odd = ask(engine, "reconnect")
    locked = ask(engine, "test", None, "sealed")
    with engine.begin() as transaction:
        number = transaction.execute(
            text("insert into command (kind, parameters) values ('dance', 'x') returning id")
        ).scalar_one()
        transaction.execute(
            text("update command set parameters = 'no such key' where id = :id"), {"id": locked}
        )
    found = [finished(engine, item).result["code"] for item in (odd, locked, number)]
    assert found == ["not_run", "broken_parameters", "unknown_command"]
    assert worker.child.running


@ONE_DATABASE
def test_each_failing_step_is_named_and_told_in_words(
    engine: Engine, worker: WorkerProcess, certificates: Certificates
) -> None:
    worker.start()
    worker.wait_until_worker(WorkerState.RUNNING)
    with ExitStack() as brokers:

        def broker(script: Script, **options: object) -> int:
            made = brokers.enter_context(ScriptedBroker(script, **options))  # type: ignore[arg-type]
            return made.port

        quick: dict[str, Any] = {
            "connect_timeout_s": 1,
            "password": CANARY,
            "username": "u",
            "protocol": "5",
        }
        no_tls = broker(SILENT)
        wanted = {
            ask(engine, "test", None, draft(port, "a/#", **(quick | values))): failure
            for port, values, failure in (
                (1883, {"host": "no-such-host.invalid"}, ("dns", "dns_failed")),
                (free_port(), {}, ("tcp", "tcp_refused")),
                (no_tls, {"tls": True}, ("tls", "tls_timeout")),
                (broker(NO_CONNACK), {}, ("connack", "connack_timeout")),
                (broker(SILENT), {"protocol": "auto"}, ("connack", "connack_timeout")),
                (broker(refuse(0x87)), {}, ("connack", "not_authorized")),
                (broker(refuse(5)), {"protocol": "3.1.1"}, ("connack", "not_authorized")),
                (
                    broker(refuse(2)),
                    {"protocol": "auto"},
                    ("connack", "client_identifier_not_valid"),
                ),
                (broker(NO_SUBACK), {}, ("suback", "suback_timeout")),
                (broker(SUBACK_FAILURE), {}, ("suback", "subscribe_refused")),
            )
        }
        for number, failure in wanted.items():
            row = finished(engine, number)
            assert failing_step(row.result) == failure
            assert row.state is CommandState.FAILED
            assert failure[0].upper() in words(row.result)
            assert row.finished_at - row.accepted_at < timedelta(seconds=1 + 10)
    assert CANARY not in worker.child.output()
    assert CANARY not in str([row_of(engine, number).result for number in wanted])


@ONE_DATABASE
def test_what_the_login_may_not_do_beyond_is_a_remark(
    engine: Engine, worker: WorkerProcess
) -> None:
    worker.start()
    worker.wait_until_worker(WorkerState.RUNNING)
    # Neither hands on what is published.
    with ScriptedBroker(NO_PUBACK) as deaf, ScriptedBroker(GOOD) as secretive:
        wanted = {
            ask(engine, "test", None, draft(broker.port, "a/#", protocol="5")): remark
            for broker, remark in (
                (deaf, ("publish", "no_puback")),
                (secretive, ("delivery", "not_delivered")),
            )
        }
        for number, (name, code) in wanted.items():
            row = finished(engine, number)
            assert (row.state, row.result["verdict"]) == (CommandState.DONE, "warning")
            assert step(row.result, name)["state"] == "warning"
            assert step(row.result, name)["reason_code"] == code
            assert step(row.result, "will")["state"] == "skipped"
        for broker in (deaf, secretive):
            broker.wait(lambda broker=broker: not broker.open_now)  # type: ignore[misc]
            assert [session.ending for session in broker.sessions] == ["disconnect"]


@ONE_DATABASE
def test_a_test_over_tls_shows_whom_it_met(
    engine: Engine,
    worker: WorkerProcess,
    start_mosquitto: Callable[..., Mosquitto],
    certificates: Certificates,
) -> None:
    broker = start_mosquitto(tls=certificates.tls())
    assert broker.tls_port is not None
    worker.start()
    worker.wait_until_worker(WorkerState.RUNNING)
    trusting: dict[str, Any] = {"tls": True, "tls_ca_pem": certificates.ca.certificate_pem}
    good = ask(engine, "test", None, draft(broker.tls_port, "a/#", **trusting))
    wary = ask(engine, "test", None, draft(broker.tls_port, tls=True))
    flawed = ask(engine, "test", None, draft(broker.tls_port, tls=True, tls_ca_pem="no PEM"))
    result = finished(engine, good).result
    assert result["verdict"] == "ok"
    assert (result["protocol"], result["keepalive_s"]) == ("5", 5)
    assert result["certificate"]["subject"] == "CN=server"
    assert failing_step(finished(engine, wary).result) == ("tls", "tls_unknown_ca")
    answer = finished(engine, flawed).result
    assert (answer["code"], answer["detail"]["field"]) == ("config_error", "tls_ca_pem")


@pytest.mark.timing
@ONE_DATABASE
def test_a_test_leaves_the_live_session_the_table_and_the_topics_as_they_are(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    # The first Topic Filter covers what the test publishes.
    filters = ("plant/#", "commands/#")
    number = add(engine, "plant", mosquitto.port, *filters, username="u", password=CANARY)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    before, happened = status(engine, "plant"), events(engine, number)
    with Observer(mosquitto.port) as observer:
        login: dict[str, Any] = {"username": "u", "password": CANARY}
        parameters = draft(mosquitto.port, *filters, "$share/g/x", site="plant", **login)
        row = finished(engine, ask(engine, "test", number, parameters))
        seen = {message.topic for message in observer.messages if not message.retain}
        observer.publish("commands/last", "")
    assert row.result["verdict"] == "ok"
    assert row.result["client_id"].startswith("plant_bfg_-probe-")
    assert step(row.result, "suback")["reason_code"] == "filters_left_out"
    assert step(row.result, "will")["detail"]["seconds"] <= 0.5
    assert all(topic.startswith("plant/backend/status/probe/") for topic in seen)
    # What the live session received: its own `online` and name, and the last message.
    worker.child.wait_for(lambda: status(engine, "plant").messages_in == 3, 10.0, "three messages")
    assert status(engine, "plant").connected_since == before.connected_since
    assert events(engine, number) == happened
    with engine.connect() as transaction:
        revision = transaction.execute(text("select revision from connection")).scalar_one()
    assert revision == 1
    with Observer(mosquitto.port) as late:
        late.wait_for("plant/backend/status", b"online")
        assert {message.topic for message in late.messages} <= {
            "plant/backend/status",
            "plant/backend/status/who",
        }
    assert CANARY not in worker.child.output() + str(row.result)


@ONE_DATABASE
def test_with_the_real_client_id_the_live_session_makes_room_and_comes_back(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    number = add(engine, "plant", mosquitto.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    keeping = draft(mosquitto.port, real_id=True, site="plant", clean_session=False)
    answer = finished(engine, ask(engine, "test", number, keeping))
    assert answer.result["code"] == "real_id_keeps_session"
    with Observer(mosquitto.port, ("plant/backend/status",)) as observer:
        for sessions in (2, 3, 4):
            parameters = draft(mosquitto.port, real_id=True, site="plant")
            row = finished(engine, ask(engine, "test", number, parameters))
            assert row.result["verdict"] == "ok"
            assert row.result["client_id"] == f"plant_{HOSTNAME}"
            worker.child.wait_for(
                lambda wanted=sessions: (
                    events(engine, number).count((State.CONNECTED, "success"))  # type: ignore[misc]
                    == wanted
                ),
                5.0,
                "the live session to be back",
            )
        observer.wait(lambda: observer.latest() == {"plant/backend/status": b"online"})
    codes = {code for _, code in events(engine, number)}
    assert codes <= {"enabled", "worker_start", "success", "operator_test"}


@ONE_DATABASE
def test_a_record_that_is_disabled_during_its_test_ends_disabled(
    engine: Engine, worker: WorkerProcess
) -> None:
    with ScriptedBroker() as broker:
        number = add(engine, "plant", broker.port)
        worker.start()
        worker.wait_for_states({"plant": State.CONNECTED})
        broker.script = NO_CONNACK
        parameters = draft(broker.port, real_id=True, site="plant", connect_timeout_s=3)
        asked = ask(engine, "test", number, parameters)
        worker.wait_for_states({"plant": State.STOPPING}, 5.0)
        change(engine, "plant", is_enabled=False)
        worker.wait_for_states({"plant": State.DISABLED}, 5.0)
        assert row_of(engine, asked).finished_at is None


@ONE_DATABASE
def test_a_worker_that_stops_in_the_middle_of_a_test_leaves_no_socket_and_names_itself(
    engine: Engine, worker: WorkerProcess
) -> None:
    with ScriptedBroker(NO_PUBACK) as broker:
        worker.start()
        worker.wait_until_worker(WorkerState.RUNNING)
        asked = ask(engine, "test", None, draft(broker.port))
        broker.wait(lambda: broker.sessions and broker.sessions[-1].publishes)
        boot_id = heartbeat(engine, worker.child.pid)["boot_id"]
        worker.child.stop(signal.SIGTERM)
        broker.wait(lambda: not broker.open_now)
        row = row_of(engine, asked)
        assert (row.state, row.boot_id) == (CommandState.ACCEPTED, boot_id)


@ONE_DATABASE
def test_many_tests_are_accepted_at_once_and_take_turns(
    engine: Engine, worker: WorkerProcess
) -> None:
    with ScriptedBroker(NO_CONNACK) as broker:
        worker.start()
        worker.wait_until_worker(WorkerState.RUNNING)
        parameters = draft(broker.port, connect_timeout_s=1, protocol="5")
        asked = [ask(engine, "test", None, parameters) for _ in range(12)]
        worker.child.wait_for(
            lambda: all(row_of(engine, number) for number in asked), ACCEPTED_WITHIN, "acceptance"
        )
        rows = [finished(engine, number) for number in asked]
        assert [failing_step(row.result)[0] for row in rows] == ["connack"] * 12
        assert len(broker.sessions) == 12
        # Each takes the whole second of its deadline, so the ninth ended in the third second.
        took = max(row.finished_at for row in rows) - min(row.accepted_at for row in rows)
        assert took >= timedelta(seconds=1.9)
