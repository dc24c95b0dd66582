"""What a broker does not take or give of our own topics shows, and only where that is certain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Engine

from database.reasons import explain
from database.words import Certainty
from database.words import ConnectionState as State
from mqttworker.core import events
from mqttworker.core.cause import Cause, cause
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import (
    Acknowledged,
    Heard,
    OutboundMessage,
    Terms,
    ignore,
)
from mqttworker.service.context import Clock
from mqttworker.service.status_topic import CORRECTION_GAP, PATIENCE, TRY_AGAIN, StatusTopic
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import NO_PUBACK, Script
from tests.worker.service.worker import ONE_DATABASE, WorkerProcess, add, status
from tests.worker.service.worker import events as stored_events

NOT_AUTHORIZED = 0x87
RULES = """
user reads
topic read #
user writes
topic write #
user all
topic readwrite #
user pingless
topic read #
topic write +/backend/status
"""


def _reason(engine: Engine, name: str) -> tuple[str, int | None]:
    row = status(engine, name)
    return row.reason_code, row.raw_code


@ONE_DATABASE
def test_a_broker_that_does_not_take_our_status_degrades_its_connections(
    tmp_path: Path,
    engine: Engine,
    start_mosquitto: Callable[..., Mosquitto],
    scripted_broker: ScriptedBroker,
    worker: WorkerProcess,
) -> None:
    rules = tmp_path / "acl"
    rules.write_text(RULES, encoding="utf-8")
    rules.chmod(0o644)
    broker = start_mosquitto(extra=f"acl_file {rules}\nlog_type all")
    plant = partial(add, engine, port=broker.port)
    plant("refused", username="reads", protocol="5", self_ping_s=1)
    plant("silent", username="reads", protocol="3.1.1")
    plant("unread", username="reads", protocol="3.1.1", announce_who=False)
    plant("blind", username="writes", protocol="5")
    plant("good", username="all", protocol="3.1.1", self_ping_s=1)
    plant("pingless", username="pingless", protocol="5", self_ping_s=1)
    # It says nothing to `online`: the self-ping begins all the same.
    scripted_broker.script = NO_PUBACK
    add(engine, "mute", scripted_broker.port, protocol="5", self_ping_s=5, keepalive_s=60)
    # It lets nobody subscribe to anything.
    with ScriptedBroker(Script(suback_code=NOT_AUTHORIZED)) as deaf:
        add(engine, "deaf", deaf.port, protocol="5", self_ping_s=1)
        worker.start()
        degraded = ("refused", "silent", "pingless", "deaf")
        worker.wait_for_states(dict.fromkeys(degraded, State.DEGRADED), 60.0)
        assert _reason(engine, "deaf") == ("self_ping_refused", NOT_AUTHORIZED)
        topics = {item.topic for item in deaf.sessions[0].publishes}
        assert topics == {"deaf/backend/status", "deaf/backend/status/who"}
        assert len(deaf.sessions) == 1
    assert _reason(engine, "refused") == ("status_refused", NOT_AUTHORIZED)
    assert _reason(engine, "pingless") == ("self_ping_refused", NOT_AUTHORIZED)
    row = status(engine, "silent")
    assert (row.reason_code, row.raw_code) == ("status_refused", None)
    assert row.certainty is Certainty.INFERRED
    assert "did not come back within 10 s" in explain(row.reason_code, row.detail)
    assert "refused_" in broker.log()
    assert "'refused/backend/status/ping'" in broker.log()
    worker.child.wait_for(
        lambda: any(item.topic.endswith("/ping") for item in scripted_broker.sessions[0].publishes),
        30.0,
        "a self-ping without PUBACK",
    )
    worker.wait_for_states(dict.fromkeys(("unread", "blind", "good"), State.CONNECTED))
    for name in ("unread", "blind", "good"):
        assert status(engine, name).reason_code == "success"
    assert status(engine, "good").round_trip_ms is not None
    assert worker.child.output().count("the broker does not take who holds the client id") == 2
    # What is not allowed does not end the session, as traffic that does not flow would.
    number = status(engine, "pingless").connection_id
    assert State.BACKOFF not in {state for state, _ in stored_events(engine, number)}


@ONE_DATABASE
def test_the_status_goes_out_with_the_qos_that_the_broker_takes(
    engine: Engine, start_mosquitto: Callable[..., Mosquitto], worker: WorkerProcess
) -> None:
    broker = start_mosquitto(extra="max_qos 1")
    number = add(engine, "plant", broker.port, status_qos=2)
    none = start_mosquitto(extra="max_qos 0")
    add(engine, "low", none.port, status_qos=1, self_ping_s=1)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED, "low": State.CONNECTED})
    for port, name in ((broker.port, "plant"), (none.port, "low")):
        with Observer(port, (f"{name}/backend/status",)) as observer:
            observer.wait_for(f"{name}/backend/status", b"online")
    assert (State.BACKOFF, "qos_not_supported") in stored_events(engine, number)
    assert State.REFUSED not in {state for state, _ in stored_events(engine, number)}
    worker.child.wait_for(
        lambda: status(engine, "low").round_trip_ms is not None, 20.0, "a round trip"
    )


# --- without a broker ------------------------------------------------------------------------


class Session:
    """A session that is played by hand."""

    is_open = True
    terms = Terms()
    greeted_at = 0.0

    def __init__(self) -> None:
        self.published: list[Acknowledged] = []

    def publish(self, message: OutboundMessage, done: Acknowledged, heard: Heard = ignore) -> None:
        assert message.payload == b"online"
        self.published.append(done)

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None: ...

    def complete(self, identifiers: Sequence[int]) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self, grace: float) -> None: ...

    def abort(self) -> None: ...


class Scene:
    """A status topic, its session and a clock."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.posted: list[events.Event] = []
        self.session = Session()
        self.topic = StatusTopic("plant", Clock(lambda: self.now), self.posted.append)
        spec = ConnectionSpec(1, "h", 1883, "a", status_topic="s")
        self.topic.begin(self.session, spec, is_readable=True)

    def wait(self, seconds: float, deaf_at: float = float("-inf")) -> events.Event:
        """Let time pass; return what follows."""
        self.now += seconds
        return self.topic.tick(self.now, deaf_at)

    def come(self, payload: bytes, *, retain: bool = False) -> None:
        """Let a message come in on the topic."""
        message = InboundMessage("s", payload, 0, retain, dup=False)
        self.topic.take(message, is_greeting=False)


SILENT = events.Greeted(is_certain=False)
ACCEPTED = events.Recovered(cause("status_accepted"))
REFUSED = cause("not_authorized", raw_code=NOT_AUTHORIZED)


def _code(event: events.Event) -> str:
    why: Cause = event.why  # type: ignore[union-attr]
    return why.code


def test_online_that_comes_back_is_taken_whatever_comes_first() -> None:
    for back_first in (True, False):
        scene = Scene()
        if back_first:
            scene.come(b"online")
        scene.topic.published(SILENT)
        if not back_first:
            scene.come(b"online")
        assert scene.wait(PATIENCE + 1) == events.Due()
        assert scene.topic.due_at is None


def test_online_that_was_retained_before_proves_nothing() -> None:
    scene = Scene()
    scene.come(b"online", retain=True)
    scene.topic.published(SILENT)
    assert _code(scene.wait(PATIENCE)) == "status_refused"


def test_what_we_could_not_hear_is_awaited_again() -> None:
    scene = Scene()
    scene.topic.published(SILENT)
    assert scene.wait(PATIENCE, deaf_at=scene.now + 1) == events.Due()
    assert scene.topic.due_at == scene.now + PATIENCE


@pytest.mark.parametrize("is_certain", [True, False])
def test_a_status_that_is_not_taken_is_published_again_until_it_is(is_certain: bool) -> None:
    scene = Scene()
    scene.topic.published(events.Greeted(REFUSED if is_certain else None, is_certain))
    if is_certain:
        assert _code(scene.posted.pop()) == "status_refused"
    else:
        assert _code(scene.wait(PATIENCE)) == "status_refused"
    for _ in range(2):
        assert scene.topic.due_at == scene.now + TRY_AGAIN
        scene.wait(TRY_AGAIN)
        if is_certain:
            scene.session.published[-1](REFUSED)
            assert _code(scene.posted.pop()) == "status_refused"
        else:
            scene.session.published[-1](None)
    assert not scene.posted
    scene.wait(TRY_AGAIN)
    scene.session.published[-1](None)
    if not is_certain:
        scene.come(b"online")
    assert scene.posted == [ACCEPTED]
    assert scene.topic.due_at is None


def test_what_could_not_be_written_is_published_soon() -> None:
    scene = Scene()
    scene.topic.published(events.Greeted(cause("write_blocked", seconds=1)))
    assert not scene.posted
    scene.wait(CORRECTION_GAP)
    assert len(scene.session.published) == 1


def test_a_correction_that_is_refused_is_told() -> None:
    scene = Scene()
    scene.topic.published(events.Greeted())
    scene.come(b"offline")
    scene.wait(1.0)
    scene.posted.clear()
    scene.session.published[-1](REFUSED)
    assert [_code(event) for event in scene.posted] == ["status_refused"]
