"""What looks like a second client with our client id, and what is one (see tests/faults too)."""

from __future__ import annotations

import signal
from contextlib import ExitStack
from functools import partial

from sqlalchemy import Engine

from database.words import ConnectionState as State
from tests.conftest import HOSTNAME
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.worker.service.worker import ONE_DATABASE, WorkerProcess, add, events, status


@ONE_DATABASE
def test_a_broker_that_restarts_again_and_again_is_not_taken_for_a_rival(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    connection_id = add(engine, "plant", mosquitto.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})

    sessions = 1

    def came_back(wanted: int) -> bool:
        return events(engine, connection_id).count((State.CONNECTED, "success")) == wanted

    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        mosquitto.stop() if number is signal.SIGTERM else mosquitto.kill()
        mosquitto.start()
        worker.child.wait_for(partial(came_back, sessions + 1), 30.0, "the connection to be back")
        sessions += 1
    assert State.COOLDOWN not in {state for state, _ in events(engine, connection_id)}


@ONE_DATABASE
def test_a_whole_second_instance_is_found_out(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    names = [f"site_{number}" for number in range(5)]
    for name in names:
        add(engine, name, mosquitto.port)
    worker.start()
    worker.wait_for_states(dict.fromkeys(names, State.CONNECTED))
    with ExitStack() as rivals:
        for name in names:
            rivals.enter_context(Observer(mosquitto.port, ("x",), client_id=f"{name}_{HOSTNAME}"))
        worker.wait_for_states(dict.fromkeys(names, State.COOLDOWN), seconds=100.0)
    assert status(engine, names[0]).reason_code == "duplicate_client_id"
