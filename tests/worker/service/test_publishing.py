"""Messages that operators publish: through the database, the real worker and a broker."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, delete, insert, select

from database import publications
from database.clock import database_now
from database.models import Command, CommandResult, WorkerLease
from database.outcomes import explain, next_step
from database.publications import MAX_PAYLOAD_BYTES, Properties, Publication
from database.words import CommandState
from database.words import ConnectionState as State
from mqttworker.adapters.fake_broker import FakeBroker
from mqttworker.adapters.fake_transport import FakeTransport
from mqttworker.ports.store import Commands
from mqttworker.service.publishing import send
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.process import free_port
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.contract.sessions import Try, spec_for
from tests.worker.service.asking import ask, finished, row_of, words
from tests.worker.service.worker import ONE_DATABASE, WorkerProcess, add, status

HELLO = Publication("plant/hello", b"\0\xff bytes", qos=1)
#: Maximum Packet Size 300, Maximum QoS 1, no retained messages (5, section 3.2.2.3).
STRICT = b"\x27\0\0\x01\x2c\x24\x01\x25\0"


def publish(engine: Engine, connection_id: int, wanted: Publication = HELLO, **changes: Any) -> int:
    """Ask for a message to be published; return the id of the command."""
    parameters = json.dumps(publications.to_json(replace(wanted, **changes)))
    return ask(engine, "publish", connection_id, parameters)


def told(engine: Engine, command_id: int) -> str:
    """Return the code of what became of a message; its sentence must be whole."""
    result = finished(engine, command_id).result
    assert "unknown" not in words(result) + next_step(result["code"], result["detail"])
    return str(result["code"])


@ONE_DATABASE
def test_what_became_of_a_message_is_told_in_the_brokers_words(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    five = add(engine, "five", mosquitto.port)
    old = add(engine, "old", mosquitto.port, protocol="3.1.1")
    down = add(engine, "down", free_port())
    off = add(engine, "off", mosquitto.port, is_enabled=False)
    worker.start()
    worker.wait_for_states({"five": State.CONNECTED, "old": State.CONNECTED, "down": State.BACKOFF})
    with Observer(mosquitto.port, ("plant/#",)) as observer:
        properties = Properties(content_type="text/plain")
        withheld = json.dumps({**publications.to_json(HELLO), publications.WITHHELD: True})
        asked = {
            "publish_acknowledged_00": publish(engine, five),
            "publish_acknowledged_10": publish(engine, five, topic="nobody/listens"),
            "publish_written": publish(engine, five, qos=0),
            "publish_acknowledged": publish(engine, old, qos=2),
            "publish_properties_not_supported": publish(engine, old, properties=properties),
            "publish_not_connected": publish(engine, down),
            "not_run": publish(engine, off),
            "publish_invalid": publish(engine, five, topic="plant/#"),
            "broken_parameters": ask(engine, "publish", five, "{}"),
            "publish_withheld": ask(engine, "publish", five, withheld),
        }
        assert {code: told(engine, number) for code, number in asked.items()} == {
            code: code for code in asked
        }
        observer.wait(lambda: len(observer.of("plant/hello")) == 3)
        assert {item.payload for item in observer.of("plant/hello")} == {HELLO.payload}
    worker.child.wait_for(lambda: status(engine, "five").messages_out == 3, 15.0, "the counters")
    assert status(engine, "five").bytes_out == 3 * len(HELLO.payload)
    done = row_of(engine, asked["publish_acknowledged_10"])
    assert done.state is CommandState.DONE
    assert done.result["reason_code"] == 0x10
    assert 0 < done.result["ms"] < 5000
    assert "No matching subscribers (0x10)" in words(done.result)
    assert row_of(engine, asked["publish_acknowledged"]).result["reason_code"] is None
    assert "ms" not in row_of(engine, asked["publish_written"]).result
    assert row_of(engine, asked["not_run"]).state is CommandState.FAILED


@ONE_DATABASE
def test_what_a_broker_refuses_or_does_not_allow_is_named(
    engine: Engine, worker: WorkerProcess, scripted_broker: ScriptedBroker
) -> None:
    said = b"\x0c\x1f\0\x09too\nmuch!"
    refusing = Script(publish_code=0x97, publish_properties=said)
    scripted_broker.next_scripts.append(refusing)
    quota = add(engine, "quota", scripted_broker.port, status_topic="q", status_qos=0, protocol="5")
    worker.start()
    worker.wait_for_states({"quota": State.CONNECTED})
    scripted_broker.next_scripts.append(Script(connack_properties=STRICT, close_on_topic="hang/up"))
    small = {"status_qos": 0, "status_retain": False, "announce_who": False}
    strict = add(engine, "strict", scripted_broker.port, protocol="5", **small)
    worker.wait_for_states({"strict": State.CONNECTED})
    scripted_broker.next_scripts.append(Script(lowers_qos=True))
    low = add(engine, "low", scripted_broker.port, protocol="5", status_qos=2)
    worker.wait_for_states({"low": State.CONNECTED})
    row = finished(engine, publish(engine, quota))
    assert row.state is CommandState.FAILED
    assert words(row.result) == "The broker refused the message: Quota exceeded (0x97)."
    assert row.result["said"] == r"too\nmuch!"
    asked = {
        "publish_packet_too_large": publish(engine, strict, payload=bytes(300)),
        "publish_qos_not_supported": publish(engine, strict, qos=2),
        "publish_retain_not_supported": publish(engine, strict, retain=True),
        "publish_qos_lowered": publish(engine, low, qos=2),
        # Last: the session is over then.
        "publish_session_ended": publish(engine, strict, topic="hang/up"),
    }
    assert {code: told(engine, number) for code, number in asked.items()} == {
        code: code for code in asked
    }


def test_a_broker_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    broker = FakeBroker()
    host, port = broker.address
    attempt = Try(FakeTransport(broker), spec_for(port, host=host, keepalive_s=60), "5")
    attempt.opened()
    assert send(attempt.session, HELLO).is_late is False
    broker.freeze()
    assert send(attempt.session, HELLO, 0.05).is_late
    attempt.session.abort()


def test_what_was_published_is_kept_longer_than_other_results(engine: Engine) -> None:
    lease = {"slot": 0, "boot_id": "boot-1", "expires_at": database_now(60.0)}
    old, older = database_now(-2 * 86_400.0), database_now(-31 * 86_400.0)
    kinds = {"publish": old, "reconnect": old, "publish ": older}
    numbers = [ask(engine, kind.strip(), None, "{}") for kind in kinds]
    with engine.begin() as transaction:
        transaction.execute(insert(WorkerLease).values(**lease))
        for number, moment in zip(numbers, kinds.values(), strict=True):
            values = {"command_id": number, "state": CommandState.DONE, "accepted_at": moment}
            transaction.execute(insert(CommandResult).values(**values))
    Commands(engine, "boot-1").prune()
    with engine.connect() as transaction:
        assert transaction.scalars(select(CommandResult.command_id)).all() == numbers[:1]
    with engine.begin() as transaction:
        transaction.execute(delete(Command))
    Commands(engine, "boot-1").prune()
    assert row_of(engine, numbers[0]) is None


def test_a_message_is_judged_by_one_set_of_rules() -> None:
    good = Publication(
        "$SYS/x", b"\xff", 2, retain=True, properties=Properties(0, 5, "a", "b", b"c")
    )
    assert publications.problems(good) == {}
    assert publications.problems(Publication("a", b"")) == {}
    wrong = Publication(
        "a/+",
        bytes(MAX_PAYLOAD_BYTES + 1) + b"\xff",
        3,
        properties=Properties(1, -1, "\0", "#", bytes(65_536), (("a", "\ud800"),)),
    )
    found = publications.problems(wrong)
    assert list(found) == [
        "topic",
        "payload",
        "qos",
        "payload_format_indicator",
        "message_expiry_interval",
        "content_type",
        "response_topic",
        "correlation_data",
        "user_properties",
    ]
    assert found["payload"] == "Use at most 262,144 bytes; this has 262,146."


def test_a_message_survives_its_way_through_a_command() -> None:
    wanted = Publication(
        "ü/a",
        bytes(range(256)),
        1,
        retain=True,
        properties=Properties(1, 2, "c", "r", b"\0", (("k", "v"),)),
    )
    stored = json.dumps(publications.to_json(wanted))
    found = publications.read(stored)
    assert found is not None
    assert found[0] == wanted
    assert base64.b64decode(json.loads(stored)["payload"]) == wanted.payload
    for nonsense in (None, "", "[]", "{}", '{"topic": 1}', stored.replace("AAEC", "@@@@")):
        assert publications.read(nonsense) is None


def test_every_reason_code_of_an_acknowledgement_has_its_name() -> None:
    # 5, sections 3.4.2.1, 3.5.2.1 and 3.7.2.1.
    for code in (0x80, 0x83, 0x87, 0x90, 0x91, 0x92, 0x97, 0x99):
        assert f"(0x{code:02X})" in explain(f"publish_refused_{code:02x}")
