"""How the worker stops, dies and comes back, and what others see of it."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Engine, select, update

from database.clock import database_now
from database.models import WorkerLease
from database.words import ConnectionState as State
from database.words import WorkerState
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer, retained
from tests.support.process import Child
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import NO_PUBACK
from tests.worker.service.worker import (
    ONE_DATABASE,
    ROOT,
    WorkerProcess,
    add,
    events,
    heartbeat,
    states,
)

MANY = 60
STATUS = ("+/backend/status",)
#: What the whole stop may take, seconds (S8), and a little for a busy machine.
STOP_LIMIT = 5.5


def _connect_many(engine: Engine, worker: WorkerProcess, port: int) -> list[str]:
    names = [f"site_{number}" for number in range(MANY)]
    for name in names:
        add(engine, name, port)
    worker.start()
    worker.wait_for_states(dict.fromkeys(names, State.CONNECTED))
    return [f"{name}/backend/status" for name in names]


def test_sigterm_says_offline_everywhere_and_exits_with_zero(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    topics = _connect_many(engine, worker, mosquitto.port)
    assert retained(mosquitto.port, STATUS, MANY) == dict.fromkeys(topics, b"online")
    worker.child.send_signal(signal.SIGTERM)
    assert worker.child.wait(STOP_LIMIT) == 0
    assert retained(mosquitto.port, STATUS, MANY) == dict.fromkeys(topics, b"offline")
    assert heartbeat(engine, worker.child.pid)["state"] == WorkerState.STOPPED


@ONE_DATABASE
def test_frozen_brokers_do_not_hold_up_the_stop(
    engine: Engine,
    mosquitto: Mosquitto,
    start_mosquitto: Callable[..., Mosquitto],
    worker: WorkerProcess,
) -> None:
    frozen = start_mosquitto()
    for number in range(6):
        add(engine, f"frozen_{number}", frozen.port, keepalive_s=60)
    topics = _connect_many(engine, worker, mosquitto.port)
    worker.wait_for_states({f"frozen_{number}": State.CONNECTED for number in range(6)})
    frozen.freeze()
    worker.child.send_signal(signal.SIGTERM)
    assert worker.child.wait(STOP_LIMIT) == 0
    assert retained(mosquitto.port, STATUS, MANY) == dict.fromkeys(topics, b"offline")
    frozen.thaw()
    with Observer(frozen.port, STATUS) as observer:
        observer.wait_for("frozen_0/backend/status", b"offline")


@ONE_DATABASE
def test_a_broker_that_never_acknowledges_does_not_hold_up_the_stop(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    scripted_broker.script = NO_PUBACK
    add(engine, "plant", scripted_broker.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    worker.child.send_signal(signal.SIGTERM)
    assert worker.child.wait(STOP_LIMIT) == 0
    scripted_broker.wait(lambda: scripted_broker.open_now == 0)
    # No DISCONNECT: it would have cancelled the will, which now speaks for us.
    assert scripted_broker.sessions[0].ending != "disconnect"


@ONE_DATABASE
def test_sigterm_while_connecting_exits_with_zero(
    engine: Engine, scripted_broker: ScriptedBroker, worker: WorkerProcess
) -> None:
    scripted_broker.script = scripted_broker.script.__class__(connack=None)
    add(engine, "plant", scripted_broker.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTING})
    worker.child.send_signal(signal.SIGTERM)
    assert worker.child.wait(STOP_LIMIT) == 0


@ONE_DATABASE
def test_a_killed_worker_is_seen_by_its_wills_at_once(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    topics = _connect_many(engine, worker, mosquitto.port)
    with Observer(mosquitto.port, STATUS) as observer:
        observer.wait_for_latest(dict.fromkeys(topics, b"online"))
        killed_at = time.monotonic()
        worker.child.kill()
        observer.wait_for_latest(dict.fromkeys(topics, b"offline"))
        last = max(message.at for message in observer.messages)
    assert last - killed_at <= 0.5


def test_after_a_kill_the_next_worker_takes_over_without_waiting_for_the_lease(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    topics = _connect_many(engine, worker, mosquitto.port)
    worker.child.kill()
    worker.start()
    started_at = time.monotonic()
    with Observer(mosquitto.port, STATUS) as observer:
        observer.wait_for_latest(dict.fromkeys(topics, b"online"), 10.0)
    assert time.monotonic() - started_at < 10.0
    with engine.connect() as transaction:
        assert transaction.execute(select(WorkerLease.epoch)).scalar_one() == 2


def test_a_second_worker_stands_by_and_takes_over(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess, second: WorkerProcess
) -> None:
    connection_id = add(engine, "plant", mosquitto.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    with second:
        second.wait_until_worker(WorkerState.STANDBY)
        assert heartbeat(engine, second.child.pid)["connections"] == 0
        worker.child.kill()
        # Its lock file is not shared, so it has to wait until the lease runs out.
        second.wait_until_worker(WorkerState.RUNNING, seconds=10.0)
        second.wait_for_states({"plant": State.CONNECTED}, seconds=5.0)
    assert events(engine, connection_id)[-1] == ("stopping", "worker_shutdown")


def test_a_worker_that_lost_its_lease_in_a_short_freeze_steps_down(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess, second: WorkerProcess
) -> None:
    add(engine, "plant", mosquitto.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    with second:
        second.wait_until_worker(WorkerState.STANDBY)
        worker.child.freeze()
        # Too short for the watchdog: what it finds in the database has to decide.
        with engine.begin() as transaction:
            transaction.execute(update(WorkerLease).values(expires_at=database_now()))
        second.wait_for_states({"plant": State.CONNECTED}, seconds=3.0)
        worker.child.thaw()
        assert worker.child.wait(5.0) == 1
        assert "taken over by another worker" in worker.child.output()
        assert "was frozen" not in worker.child.output()
        assert states(engine) == {"plant": State.CONNECTED}
        assert retained(mosquitto.port, STATUS) == {"plant/backend/status": b"online"}


@ONE_DATABASE
def test_the_lease_is_renewed_until_the_last_session_is_closed(
    engine: Engine,
    scripted_broker: ScriptedBroker,
    process_environment: dict[str, str],
    tmp_path: Path,
) -> None:
    scripted_broker.script = NO_PUBACK
    add(engine, "plant", scripted_broker.port)
    # Goodbyes take longer than usual.
    code = (
        "from mqttworker.service import sessions; sessions.CLOSE_GRACE = 3.0\n"
        "from mqttworker.__main__ import leave, main; leave(main())"
    )
    environment = process_environment | {"HAWSER_SHUTDOWN_TIMEOUT": "8"}
    with Child([sys.executable, "-c", code], tmp_path / "log", env=environment, cwd=ROOT) as child:
        child.wait_for(lambda: states(engine) == {"plant": State.CONNECTED}, 20.0, "connected")
        child.send_signal(signal.SIGTERM)
        before = _lease_end(engine)
        child.wait_for(lambda: _lease_end(engine) > before + timedelta(seconds=1), 2.5, "a renewal")
        assert scripted_broker.open_now == 1
        assert child.wait(STOP_LIMIT) == 0
    # Given back at the end.
    assert _lease_end(engine) <= datetime.now(UTC)


def _lease_end(engine: Engine) -> datetime:
    with engine.connect() as transaction:
        return transaction.execute(select(WorkerLease.expires_at)).scalar_one()
