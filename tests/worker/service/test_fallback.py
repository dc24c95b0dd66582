"""`auto` with brokers whose MQTT 5 is broken: it works with 3.1.1, and people are told why."""

from __future__ import annotations

import signal
from typing import Any

from sqlalchemy import Engine

from database.reasons import explain
from database.words import ConnectionState as State
from tests.support.packets import V5, connack
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import GOOD, Script, refuse
from tests.worker.service.asking import ask, draft, failing_step, finished
from tests.worker.service.worker import ONE_DATABASE, WorkerProcess, add, change, events, status

#: Good in 3.1.1, which has no properties.
ODD_MQTT_5 = Script(connack_properties=b"\x24\x02")
#: In no version.
ODD = Script(instead_of_connack=connack(V5, 0, b"\x24\x02"), close_after=0.0)
ODD_WORDS = "The broker broke the protocol: a Maximum QoS of 2."


def _reason(engine: Engine) -> tuple[str, dict[str, Any]]:
    row = status(engine, "plant")
    return row.reason_code, row.detail


@ONE_DATABASE
def test_a_connack_that_breaks_mqtt_5_ends_in_3_1_1_and_is_told(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    scripted_broker.script = ODD_MQTT_5
    # It hands nothing on, so `online` does not come back.
    number = add(engine, "plant", scripted_broker.port, announce_who=False)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    row = status(engine, "plant")
    assert row.protocol_negotiated == "3.1.1"
    assert explain(row.reason_code, row.detail) == (
        f"The broker accepted the connection. With MQTT 5 it did not work: {ODD_WORDS}"
    )
    assert (State.BACKOFF, "protocol_error") in events(engine, number)
    assert [each.version for each in scripted_broker.connects] == [5, 4]
    result = finished(engine, ask(engine, "test", None, draft(scripted_broker.port))).result
    assert result["protocol"] == "3.1.1"
    assert [item["reason_code"] for item in result["earlier_tries"]] == ["protocol_error"]
    # An edit and a new worker know it still; at another port nothing is known.
    with ScriptedBroker(ODD_MQTT_5) as other:
        for restart in (False, True):
            before = len(scripted_broker.connects)
            if restart:
                worker.child.stop(signal.SIGTERM)
                worker.start()
            else:
                change(engine, "plant", keepalive_s=7, revision=2)
            scripted_broker.wait_for_connects(before + 1, seconds=40.0)
            assert [each.version for each in scripted_broker.connects[before:]] == [4]
            worker.wait_for_states({"plant": State.CONNECTED})
        assert explain(*_reason(engine)).endswith(ODD_WORDS)
        change(engine, "plant", port=other.port, revision=3)
        other.wait_for_connects(2, seconds=40.0)
        assert [each.version for each in other.connects] == [5, 4]


@ONE_DATABASE
def test_a_broker_that_is_odd_in_both_versions_is_tried_until_it_is_mended(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    scripted_broker.script = ODD
    add(engine, "plant", scripted_broker.port)
    worker.start()
    worker.child.wait_for(lambda: len(scripted_broker.connects) >= 3, 30.0, "both versions twice")
    row = status(engine, "plant")
    assert row.reason_code == "protocol_error"
    assert explain(row.reason_code, row.detail).startswith(ODD_WORDS)
    result = finished(engine, ask(engine, "test", None, draft(scripted_broker.port))).result
    assert failing_step(result) == ("connack", "protocol_error")
    assert [item["protocol"] for item in result["earlier_tries"]] == ["3.1.1"]
    scripted_broker.script = GOOD
    worker.wait_for_states({"plant": State.CONNECTED}, 40.0)
    assert len({each.version for each in scripted_broker.connects}) == 2


@ONE_DATABASE
def test_a_password_alone_is_sent_in_mqtt_5_and_never_in_3_1_1(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    scripted_broker.script = refuse(0x84)
    add(engine, "plant", scripted_broker.port, password="token")
    worker.start()
    worker.wait_for_states({"plant": State.REFUSED})
    row = status(engine, "plant")
    assert row.reason_code == "unsupported_protocol_version"
    assert "carries no password without a user name" in explain(row.reason_code, row.detail)
    asked = draft(scripted_broker.port, password="token")
    result = finished(engine, ask(engine, "test", None, asked)).result
    assert failing_step(result) == ("connack", "unsupported_protocol_version")
    assert [item["reason_code"] for item in result["earlier_tries"]] == ["password_needs_user_name"]
    for each in scripted_broker.connects:
        assert (each.version, each.username, each.password) == (V5, None, b"token")
