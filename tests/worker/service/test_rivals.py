"""What looks like a second client with our client id, and what is one (see tests/faults too)."""

from __future__ import annotations

import itertools
import random
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from threading import Event, Thread

from sqlalchemy import Engine

from database.words import ConnectionState as State
from tests.conftest import HOSTNAME
from tests.support.fault_proxy import FaultProxy
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


@contextmanager
def _cut_again_and_again(proxy: FaultProxy) -> Iterator[None]:
    """Cut what passes through, with FIN and RST in turn, whichever client id it has."""
    over = Event()

    def cut() -> None:
        for number in itertools.count():
            if over.wait(random.uniform(0.1, 4.0)):
                return
            proxy.reset_all() if number % 2 else proxy.close_all()

    thread = Thread(target=cut)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@ONE_DATABASE
def test_a_whole_second_instance_is_noticed_and_a_bad_path_is_not_taken_for_one(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    names = [f"site_{number}" for number in range(4)]
    for name in names:
        add(engine, name, mosquitto.port)
    with ExitStack() as others:
        proxy = others.enter_context(FaultProxy(mosquitto.port))
        # As its broker is another one for us, it is alone there.
        alone = add(engine, "alone", proxy.port)
        worker.start()
        worker.wait_for_states(dict.fromkeys([*names, "alone"], State.CONNECTED))
        others.enter_context(_cut_again_and_again(proxy))
        for name in names:
            others.enter_context(Observer(mosquitto.port, ("x",), client_id=f"{name}_{HOSTNAME}"))
        worker.wait_for_states(dict.fromkeys(names, State.COOLDOWN), seconds=150.0)
        cut = events(engine, alone)
    assert status(engine, names[0]).reason_code == "duplicate_client_id"
    assert len(cut) > 10
    assert {state for state, _ in cut} == {State.CONNECTING, State.CONNECTED, State.BACKOFF}
    assert not {"duplicate_client_id", "client_id_trial_over"} & {code for _, code in cut}
