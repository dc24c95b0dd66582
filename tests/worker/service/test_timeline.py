"""What the worker adds to the timeline after a death, and what it takes away with time."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, insert, select

from database.clock import database_now
from database.models import ConnectionEvent, ConnectionStatus, WorkerHeartbeat, WorkerLease
from database.words import ConnectionState as State
from database.words import WorkerState
from mqttworker.core.cause import cause
from mqttworker.ports.journal import Beat, Status
from mqttworker.ports.store import Facts, LeaseLostError, Presence, Pruning
from tests.support.mosquitto import Mosquitto
from tests.support.process import Child, free_port
from tests.web import rows
from tests.worker.service.worker import ONE_DATABASE, ROOT, WorkerProcess, add, events

BOOT = "boot-2"
NAMES = ("wanted", "disabled meanwhile", "disabled before")


@pytest.fixture
def facts(engine: Engine) -> Facts:
    """What a worker writes that has just taken the lease from `rows.BOOT`."""
    with engine.begin() as transaction:
        transaction.execute(
            insert(WorkerLease).values(slot=0, boot_id=BOOT, expires_at=database_now(5.0))
        )
    return Facts(engine, BOOT)


def last_event(engine: Engine) -> Any:
    with engine.connect() as transaction:
        query = select(ConnectionEvent.__table__).order_by(ConnectionEvent.id.desc())
        return transaction.execute(query.limit(1)).one()


def test_a_session_left_behind_ends_when_its_worker_was_last_heard_of(
    engine: Engine, facts: Facts
) -> None:
    rows.heartbeat(engine, age=120)
    rows.status(engine, 1, State.CONNECTED, updated_at=database_now(-600))
    for number, state in enumerate((State.BACKOFF, State.STOPPING, State.REFUSED), 2):
        rows.status(engine, number, state)
    assert facts.note_lost_sessions() == 1
    found = last_event(engine)
    assert (found.connection_id, found.state, found.previous_state, found.reason_code) == (
        *(1, State.PENDING, State.CONNECTED),
        "worker_died",
    )
    assert abs(datetime.now(UTC) - timedelta(seconds=120) - found.at) < timedelta(seconds=10)
    assert found.detail["at"] == f"{found.at:%Y-%m-%d %H:%M:%S} UTC"
    assert facts.note_lost_sessions() == 0, "a session is lost once"


def test_a_session_of_the_same_process_id_before_a_restart_ended_with_that_boot(
    engine: Engine, facts: Facts
) -> None:
    rows.heartbeat(engine, age=3_600, worker_id="host-1")
    rows.status(engine, 1, State.CONNECTED, for_seconds=86_400, updated_at=database_now(-86_400))
    beat = Beat("host-1", "host", 1, BOOT, "0.1.0", datetime.now(UTC), "running", 0.0, 0, 0, 0)
    Presence(engine, BOOT).beat(beat)
    assert facts.note_lost_sessions() == 1
    died = datetime.now(UTC) - timedelta(hours=1)
    with engine.connect() as transaction:
        row = transaction.execute(select(ConnectionStatus.__table__)).one()
    for at in (last_event(engine).at, row.since, row.down_since):
        assert abs(at - died) < timedelta(seconds=10)


def test_a_state_is_dated_when_it_was_written(engine: Engine, facts: Facts) -> None:
    began = datetime.now(UTC) - timedelta(days=1)
    for _ in range(2):
        facts.write([Status(1, State.CONNECTED, cause("success"), began)], [])
        with engine.connect() as transaction:
            written = transaction.execute(select(ConnectionStatus.updated_at)).scalar_one()
        assert datetime.now(UTC) - written < timedelta(seconds=10)


def test_a_worker_nobody_remembers_was_last_heard_of_when_it_wrote_the_state(
    engine: Engine, facts: Facts
) -> None:
    rows.status(engine, 1, State.DEGRADED, updated_at=database_now(-7200))
    rows.status(engine, 2, State.CONNECTED, boot_id=BOOT)
    assert facts.note_lost_sessions() == 1
    assert abs(datetime.now(UTC) - timedelta(hours=2) - last_event(engine).at) < timedelta(
        minutes=1
    )


def test_a_record_disabled_while_no_worker_ran_is_disabled_from_its_next_start_on(
    engine: Engine, facts: Facts
) -> None:
    numbers = [rows.record(engine, name, is_enabled=name == "wanted") for name in NAMES]
    for number, state in zip(numbers, (State.BACKOFF, State.BACKOFF, State.DISABLED), strict=True):
        rows.status(engine, number, state, down_since=database_now(-7200))
    garbage = rows.record(engine, "garbage", is_enabled=False)
    rows.status(engine, garbage)
    statement = "update connection_status set state = 'x' where connection_id = :id"
    rows.sql(engine, statement, id=garbage)
    facts.note_disabled()
    facts.note_disabled()
    found = last_event(engine)
    assert (found.connection_id, found.state, found.previous_state, found.reason_code) == (
        *(numbers[1], State.DISABLED, State.BACKOFF),
        "disabled",
    )
    assert datetime.now(UTC) - found.at < timedelta(seconds=10)
    with engine.connect() as transaction:
        assert transaction.scalar(select(func.count()).select_from(ConnectionEvent)) == 1
        told = select(ConnectionStatus.state).where(ConnectionStatus.connection_id.in_(numbers))
        states = list(transaction.scalars(told.order_by(ConnectionStatus.connection_id)))
    assert states == [State.BACKOFF, State.DISABLED, State.DISABLED]


def test_it_is_down_for_as_long_as_there_was_no_session_whoever_tried(
    engine: Engine, facts: Facts
) -> None:
    lost, later, failed = (
        datetime.now(UTC).replace(microsecond=0) - timedelta(hours=hours) for hours in (9, 5, 1)
    )
    number = rows.record(engine)

    def written(state: State, why: str, since: datetime | None, *, was_connected: bool) -> Any:
        status = Status(
            number, state, cause(why), failed, down_since=since, was_connected=was_connected
        )
        facts.write([status], [])
        table = ConnectionStatus
        with engine.connect() as transaction:
            row = transaction.execute(select(table.down_since, table.was_connected)).one()
            return tuple(row)

    rows.status(engine, number, State.BACKOFF, down_since=lost, was_connected=True)
    # A new worker, or the same one after an edit, knows nothing of the time before.
    assert written(State.CONNECTING, "worker_start", None, was_connected=False) == (lost, True)
    assert written(State.BACKOFF, "tcp_refused", failed, was_connected=False) == (lost, True)
    assert written(State.STOPPING, "worker_shutdown", None, was_connected=False) == (lost, True)
    assert written(State.CONNECTED, "success", None, was_connected=True) == (None, True)
    assert written(State.BACKOFF, "peer_closed", later, was_connected=True) == (later, True)
    assert written(State.BACKOFF, "tcp_refused", later, was_connected=True) == (later, True)
    assert written(State.DISABLED, "disabled", None, was_connected=True) == (None, True)
    assert written(State.BACKOFF, "tcp_refused", failed, was_connected=False) == (failed, True)


@ONE_DATABASE
def test_a_worker_without_the_lease_reports_no_session_of_others(
    engine: Engine, facts: Facts
) -> None:
    rows.status(engine, 1, State.CONNECTED)
    with pytest.raises(LeaseLostError):
        Facts(engine, "boot-3").note_lost_sessions()


def test_a_worker_without_the_lease_deletes_nothing(engine: Engine, facts: Facts) -> None:
    del facts
    add_events(engine, 1, 20)
    add_events(engine, 2, 1, age=31 * 86400)
    rows.heartbeat(engine, age=2 * 3600)
    pruning = Pruning(engine, "boot-3", keep_each=10)
    prune_heartbeats = Presence(engine, "boot-3").prune_heartbeats
    for deletes in (pruning.prune_old, pruning.prune_surplus, prune_heartbeats):
        with pytest.raises(LeaseLostError):
            deletes()
    with engine.connect() as transaction:
        assert transaction.scalar(select(func.count()).select_from(ConnectionEvent)) == 21
        assert transaction.scalar(select(func.count()).select_from(WorkerHeartbeat)) == 1


@ONE_DATABASE
def test_the_sessions_of_a_killed_worker_are_in_the_timeline_before_the_next_ones(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    number = add(engine, "plant", mosquitto.port)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    worker.child.kill()
    worker.start()
    worker.wait_until_worker(WorkerState.RUNNING)
    worker.wait_for_states({"plant": State.CONNECTED})
    assert [entry for entry in events(engine, number) if entry[0] != State.CONNECTING] == [
        (State.CONNECTED, "success"),
        (State.PENDING, "worker_died"),
        (State.CONNECTED, "success"),
    ]


@ONE_DATABASE
def test_the_worker_notes_which_events_only_repeat_the_one_before(
    engine: Engine, worker: WorkerProcess
) -> None:
    number = add(engine, "plant", free_port())
    table = ConnectionEvent
    query = select(table.state, table.reason_code, table.is_repetition).order_by(table.id)
    query = query.where(table.connection_id == number)

    def written() -> list[tuple[Any, ...]]:
        with engine.connect() as transaction:
            return [tuple(row) for row in transaction.execute(query)]

    worker.start()
    worker.child.wait_for(lambda: len(written()) >= 4, 30, "two tries")
    assert written()[:4] == [
        (State.CONNECTING, "worker_start", False),
        (State.BACKOFF, "tcp_refused", False),
        (State.CONNECTING, "tcp_refused", True),
        (State.BACKOFF, "tcp_refused", True),
    ]


def add_events(
    engine: Engine, connection_id: int, number: int, *, age: float = 0.0, **values: Any
) -> None:
    row = {
        "connection_id": connection_id,
        "at": datetime.now(UTC) - timedelta(seconds=age),
        "state": State.CONNECTED,
        "reason_code": "success",
        "origin": "broker",
        "certainty": "certain",
    }
    with engine.begin() as transaction:
        transaction.execute(insert(ConnectionEvent), [row | values] * number)


def kept(engine: Engine) -> dict[int, tuple[int, int]]:
    """Return {connection id: (number of events, id of the newest)}."""
    table = ConnectionEvent
    query = select(table.connection_id, func.count(), func.max(table.id))
    with engine.connect() as transaction:
        found = transaction.execute(query.group_by(table.connection_id))
        return {connection_id: (count, newest) for connection_id, count, newest in found}


def test_the_oldest_events_of_a_connection_with_too_many_go(engine: Engine, facts: Facts) -> None:
    del facts
    pruning = Pruning(engine, BOOT, keep_each=100, window=70)
    add_events(engine, 1, 250)
    add_events(engine, 2, 40)
    pruning.prune_surplus()
    assert kept(engine) == {1: (100, 250), 2: (40, 290)}
    add_events(engine, 2, 61)
    pruning.prune_surplus()
    assert kept(engine) == {1: (100, 250), 2: (100, 351)}


def test_tries_in_a_row_go_before_the_sessions(engine: Engine, facts: Facts) -> None:
    del facts
    pruning = Pruning(engine, BOOT, keep_each=100)
    add_events(engine, 1, 60)
    add_events(engine, 1, 90, state=State.BACKOFF, previous_state=State.CONNECTING)
    pruning.prune_surplus()
    with engine.connect() as transaction:
        query = select(ConnectionEvent.id).order_by(ConnectionEvent.id)
        # The first of the tries says why it is down.
        assert list(transaction.scalars(query)) == [*range(1, 62), *range(112, 151)]


def test_events_older_than_a_month_go_and_no_longer_count(engine: Engine, facts: Facts) -> None:
    del facts
    pruning = Pruning(engine, BOOT, keep_each=100)
    add_events(engine, 1, 90, age=31 * 86400)
    add_events(engine, 1, 10)
    pruning.prune_surplus()
    pruning.prune_old()
    assert kept(engine) == {1: (10, 100)}
    add_events(engine, 1, 20)
    pruning.prune_surplus()
    assert kept(engine) == {1: (30, 120)}


@ONE_DATABASE
def test_what_was_counted_is_not_read_again(engine: Engine, facts: Facts) -> None:
    del facts
    from sqlalchemy import event

    pruning = Pruning(engine, BOOT, keep_each=100, window=50)
    add_events(engine, 1, 90)
    pruning.prune_surplus()
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    pruning.prune_surplus()
    assert not any("GROUP BY" in statement for statement in statements)


def _in_container(log: Path, environment: Mapping[str, str]) -> Child:
    """Start a worker that is process 1 of its own."""
    own = ("unshare", "--pid", "--fork", "--kill-child")
    return Child([*own, sys.executable, "-m", "mqttworker"], log, env=environment, cwd=ROOT)


def _deaths(engine: Engine) -> list[datetime]:
    query = select(ConnectionEvent.at).where(ConnectionEvent.reason_code == "worker_died")
    with engine.connect() as transaction:
        return list(transaction.scalars(query))


@ONE_DATABASE
@pytest.mark.skipif(os.geteuid() != 0, reason="process namespaces need root")
def test_containers_with_one_host_name_tell_the_time_of_a_kill_to_three_seconds(
    engine: Engine, mosquitto: Mosquitto, process_environment: dict[str, str], tmp_path: Path
) -> None:
    number = add(engine, "plant", mosquitto.port)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    others = process_environment | {"HAWSER_HOME": str(elsewhere)}

    def wait(child: Child, *states: WorkerState) -> None:
        query = select(WorkerHeartbeat.state).where(
            WorkerHeartbeat.pid == 1, WorkerHeartbeat.beat_at > database_now(-3.0)
        )

        def told() -> bool:
            with engine.connect() as transaction:
                return sorted(transaction.scalars(query)) == sorted(states)

        child.wait_for(told, 30.0, f"workers {states}")

    with ExitStack() as children:
        first = children.enter_context(_in_container(tmp_path / "first.log", process_environment))
        wait(first, WorkerState.RUNNING)
        standby = children.enter_context(_in_container(tmp_path / "standby.log", others))
        wait(standby, WorkerState.RUNNING, WorkerState.STANDBY)
        first.wait_for(lambda: len(events(engine, number)) == 2, 15.0, "connected")
        # A session that is older than the answer may be wrong.
        time.sleep(4.0)
        killed_at = datetime.now(UTC)
        first.kill()
        standby.wait_for(lambda: _deaths(engine), 30.0, "the death in the timeline")
    (died_at,) = _deaths(engine)
    assert abs(died_at - killed_at) <= timedelta(seconds=3)
