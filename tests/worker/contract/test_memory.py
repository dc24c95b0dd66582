"""What a session took is given back when it ends, not at some later collection."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator

import pytest
from gevent.event import Event as Signal

from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.adapters.gmqtt_client import BrokerClient
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.events import Closed, Event, Failed, Greeted
from mqttworker.ports.transport import Session, keep_nothing
from tests.support import packets
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import NO_CONNACK, Script
from tests.worker.contract.sessions import PATIENCE, Try, settle, spec_for


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Iterator[weakref.WeakSet[BrokerClient]]:
    """Every client that is made, as long as anything holds it; nobody collects meanwhile."""
    made: weakref.WeakSet[BrokerClient] = weakref.WeakSet()
    begin = BrokerClient.start

    async def start(self: BrokerClient, *args: object) -> None:
        made.add(self)
        await begin(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(BrokerClient, "start", start)
    gc.disable()
    yield made
    gc.enable()


def play(
    transport: BrokerTransport, port: int, ending: type[Event], act: Callable[[Session], object]
) -> None:
    """Open a session, let `act` end it, wait for what is reported then."""
    over = Signal()

    def report(event: Event) -> None:
        if isinstance(event, Greeted):
            act(session)
        if isinstance(event, ending):
            over.set()

    session = transport.open(spec_for(port, connect_timeout_s=0.2), "5", report, keep_nothing)
    assert over.wait(PATIENCE)


@pytest.mark.parametrize(
    ("script", "ending", "act"),
    [
        (Script(), Closed, lambda session: session.close(1.0)),
        (Script(), Greeted, lambda session: session.abort()),
        (NO_CONNACK, Failed, lambda session: None),
    ],
    ids=["closed", "aborted", "failed"],
)
def test_a_session_that_ended_is_gone(
    transport: BrokerTransport,
    hub_loop: HubLoop,
    scripted_broker: ScriptedBroker,
    clients: weakref.WeakSet[BrokerClient],
    script: Script,
    ending: type[Event],
    act: Callable[[Session], object],
) -> None:
    scripted_broker.script = script
    for _ in range(3):
        play(transport, scripted_broker.port, ending, act)
    settle(hub_loop)
    assert len(scripted_broker.connects) == 3
    assert list(clients) == []


def test_a_message_that_is_taken_too_late_is_not_acknowledged_and_harms_nobody(
    transport: BrokerTransport,
    hub_loop: HubLoop,
    scripted_broker: ScriptedBroker,
    caplog: pytest.LogCaptureFixture,
) -> None:
    # Two messages and, in the same bytes, something that ends the session.
    messages = b"".join(
        packets.publish(packets.V5, "a", b"x", qos=qos, packet_id=qos) for qos in (1, 2)
    )
    scripted_broker.script = Script(after_connack=messages + b"\x00\x00", close_after=5.0)
    attempt = Try(transport, spec_for(scripted_broker.port, status_topic=""), "5")
    assert attempt.loss().code == "protocol_error"
    settle(hub_loop)
    settle(hub_loop)
    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []
