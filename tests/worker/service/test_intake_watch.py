"""A database that is hardly fast enough makes one change of state, not one a second."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from mqttworker.core.events import Event, Impaired, Recovered
from mqttworker.core.messages import InboundMessage
from mqttworker.core.room import Room
from mqttworker.core.spec import Record
from mqttworker.ports.store import Messages
from mqttworker.service.context import Clock
from mqttworker.service.inflow import Inflow
from mqttworker.service.intake import Intake
from mqttworker.service.intake_watch import PATIENCE, RELIEF, IntakeWatch
from mqttworker.service.tally import Tally


class Connection:
    """Hears what the watch tells the connection whose messages wait."""

    def __init__(self) -> None:
        self.session: Any = None
        self.heard: list[Event] = []

    def post(self, event: Event) -> None:
        self.heard.append(event)

    def is_own(self, _message: InboundMessage) -> bool:
        return False


def test_a_database_that_is_too_slow_is_forgiven_only_when_it_is_clearly_faster() -> None:
    ages = [0.0]
    clock, connection, moved = Clock(lambda: ages[-1]), Connection(), set[Any]()
    # Nothing is stored here: how long the oldest message has waited is what the clock says.
    intake = Intake(cast(Messages, None), Room(100, 1_000_000), clock, connection.heard.clear)
    inflow = Inflow(7, Tally(Record(7, "plant", 1), clock, moved), connection, intake)
    inflow.receive([InboundMessage("a", b"x", 1, False, False, 5)])
    watch = IntakeWatch(intake, clock)

    def told(age: float) -> list[type[Event]]:
        ages.append(age)
        connection.heard.clear()
        watch.look()
        return [type(event) for event in connection.heard]

    assert told(PATIENCE - 0.1) == []
    # Without a session there is nothing to be wrong with.
    assert told(PATIENCE + 0.1) == []
    for _ in range(2):
        connection.session = SimpleNamespace(is_open=True)
        assert told(PATIENCE + 0.1) == [Impaired]
        assert told(PATIENCE - 0.1) == [], "each session is told once, however long it takes"
    assert told(RELIEF - 0.1) == [Recovered]
    assert told(PATIENCE - 0.1) == []
