"""The oracle notices what it is there to notice."""

from __future__ import annotations

import pytest

from database.words import ConnectionState as State
from tests.conftest import HOSTNAME
from tests.faults.oracle import Oracle
from tests.faults.stage import CANARY, Stage, Subject
from tests.support.observer import Observer
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import SUBACK_FAILURE


def test_a_neighbour_that_is_dropped_is_noticed(stage: Stage) -> None:
    name = stage.neighbours[0]
    words = f"the broker says: Client {name}"
    with pytest.raises(AssertionError, match=words), Oracle(stage):
        _take_over(stage, name)


def _take_over(stage: Stage, name: str) -> None:
    """Connect once with a neighbour's client id, and return when the neighbour is back."""
    neighbour = Subject(stage, name, stage.health(name)["connections"][0]["id"])
    way_back = [(State.BACKOFF, "peer_closed"), (State.CONNECTING, "peer_closed")]
    wanted = [*neighbour.events(), *way_back, (State.CONNECTED, "success")]
    rival = Observer(stage.mosquitto.port, ("x",), client_id=f"{name}_{HOSTNAME}")
    rival.start()
    rival.stop()
    stage.wait_for(lambda: neighbour.events() == wanted, 10.0, f"{name} to be back")


def _tell(stage: Stage) -> None:
    with stage.worker.child.log.open("a") as log:
        log.write(f"the password is {CANARY}\n")


def test_a_password_in_a_log_is_noticed(stage: Stage) -> None:
    with pytest.raises(AssertionError, match="in the log"), Oracle(stage):
        _tell(stage)


def test_records_are_gone_when_it_ends(stage: Stage, scripted_broker: ScriptedBroker) -> None:
    scripted_broker.script = SUBACK_FAILURE
    with Oracle(stage) as oracle:
        oracle.add(scripted_broker.port, "secret/#").wait(State.DEGRADED, "subscribe_refused")
        assert scripted_broker.open_now == 1
    assert scripted_broker.open_now == 0
    assert stage.health()["summary"]["total"] == len(stage.neighbours)
