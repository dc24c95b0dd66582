"""The test of a connection against a broker in memory: no socket, no process."""

from __future__ import annotations

from typing import Any

import gevent

from database.outcomes import explain
from mqttworker.adapters.fake_broker import FakeBroker
from mqttworker.adapters.fake_transport import FakeTransport
from mqttworker.core.cause import cause
from mqttworker.core.spec import ConnectionSpec
from mqttworker.service.probe import Probe
from tests.worker.contract.sessions import Try, spec_for


def played(broker: FakeBroker, spec: ConnectionSpec, **options: Any) -> dict[str, Any]:
    """Run a test to its end and return its result."""
    probe = Probe(FakeTransport(broker), spec, **options)
    probe.run()
    return probe.as_json()


def steps(result: dict[str, Any]) -> dict[str, str]:
    return {step["name"]: step["state"] for step in result["steps"]}


def sentence(result: dict[str, Any], name: str) -> str:
    step = next(step for step in result["steps"] if step["name"] == name)
    return explain(step["reason_code"], step["detail"])


def spec(broker: FakeBroker, **changes: Any) -> ConnectionSpec:
    host, port = broker.address
    return spec_for(port, **{"host": host, "protocol": "auto", **changes})


def test_a_good_broker_is_told_from_connack_to_will() -> None:
    broker = FakeBroker()
    result = played(broker, spec(broker))
    assert result["verdict"] == "ok"
    assert {"publish", "delivery", "will"} <= {
        name for name, state in steps(result).items() if state == "ok"
    }
    assert sentence(result, "will") == "A crash of this client is seen by others after 0.01 s."
    assert (result["protocol"], result["keepalive_s"]) == ("5", 5)
    assert broker.clients == {}


def test_nothing_is_retained_and_the_status_topic_is_left_alone() -> None:
    broker = FakeBroker()
    wanted = spec(broker)
    played(broker, wanted)
    assert broker.retained == {}
    topics = {message.topic or "" for message in broker.published}
    assert all(topic.startswith(f"{wanted.status_topic}/probe/") for topic in topics)


def test_the_live_session_with_the_same_record_stays() -> None:
    broker = FakeBroker()
    wanted = spec(broker)
    live = Try(FakeTransport(broker), wanted, "5")
    live.opened()
    played(broker, wanted)
    assert live.session.is_open
    assert len(live.events) == 1
    assert live.messages == []


def test_auto_falls_back_and_both_tries_are_told() -> None:
    broker = FakeBroker(protocols=frozenset({"3.1.1"}))
    result = played(broker, spec(broker))
    assert (result["verdict"], result["protocol"]) == ("ok", "3.1.1")
    assert [item["reason_code"] for item in result["earlier_tries"]] == [
        "unsupported_protocol_version"
    ]
    # No client id connects twice: each try, and the client that is cut off, has its own.
    ids = [tried.client_id for tried, _ in broker.tries]
    assert len(set(ids)) == len(ids) == 3


def test_a_refused_login_ends_the_test_at_connack() -> None:
    broker = FakeBroker(users={"me": "right"})
    result = played(broker, spec(broker, username="me", password="wrong", protocol="5"))
    assert result["detail"] == {"step": "CONNACK"}
    assert "does not accept the user name" in sentence(result, "connack")
    assert steps(result)["publish"] == "skipped"
    assert "wrong" not in str(result)


def test_a_broker_that_says_nothing_is_given_up_at_its_deadline() -> None:
    broker = FakeBroker()
    broker.freeze()
    result = played(broker, spec(broker, connect_timeout_s=0.2, protocol="5"))
    assert "no CONNACK within 0.2 s" in sentence(result, "connack")


def test_a_second_client_that_is_not_let_in_is_a_remark() -> None:
    broker = FakeBroker()
    probe = Probe(FakeTransport(broker), spec(broker, protocol="5"))
    running = gevent.spawn(probe.run)
    while not broker.tries:
        gevent.sleep(0)
    broker.refusals.append(cause("quota_exceeded", raw_code=0x97))
    running.get(timeout=5)
    result = probe.as_json()
    assert (result["verdict"], steps(result)["will"]) == ("warning", "warning")
    assert "quota" in sentence(result, "will")


def test_a_session_that_ends_during_the_drills_is_a_remark_with_its_reason() -> None:
    broker = FakeBroker()
    wanted = spec(broker, protocol="5")
    probe = Probe(FakeTransport(broker), wanted)
    running = gevent.spawn(probe.run)
    while not broker.clients:
        gevent.sleep(0)
    broker.stop()
    running.get(timeout=5)
    result = probe.as_json()
    assert result["verdict"] == "warning"
    assert "closed the connection without a reason" in sentence(result, "publish")


def test_a_test_that_is_killed_leaves_no_session() -> None:
    broker = FakeBroker()
    probe = Probe(FakeTransport(broker), spec(broker, protocol="5"))
    running = gevent.spawn(probe.run)
    while not broker.clients:
        gevent.sleep(0)
    running.kill()
    assert broker.clients == {}
