"""Rows B1, B4, B13, B17 and B18: brokers that go, come, and come back to a crowd."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import select

from bench.storm_log import StormLog
from bench.storm_report import (
    ALL_BACK,
    MOST_BACK,
    PEAK,
    PEAK_WINDOW,
    connects_a_second,
    most_within,
    quantile,
)
from database.models import ConnectionEvent
from database.words import ConnectionState as State
from tests.faults.figures import LONG, note
from tests.faults.oracle import Oracle
from tests.faults.stage import Stage, Subject
from tests.support.fault_proxy import FaultProxy
from tests.support.mosquitto import Mosquitto
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import close_after

#: Connections that lose their broker together, and how long it is away; the benchmark takes
#: a thousand, with the machine to itself.
CROWD, OUTAGE = (200 if LONG else 60), 3.0
#: How long brokers misbehave, seconds.
DURATION = 300.0 if LONG else 12.0
#: Brokers of the rolling row, connections each, and how often each goes down.
BROKERS, EACH, ROUNDS = (20, 50, 5) if LONG else (4, 5, 1)
FLAP = 2.0  # seconds
#: Two tries of one connection are this far apart, as far as two clocks agree.
A_SECOND = timedelta(seconds=0.99)
#: Tries within DURATION: at a broker that closes at once, and at one that does not exist.
MOST_TRIES = 25 if LONG else 7


@pytest.fixture
def crowd_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker of its own, which may be killed."""
    with Mosquitto(tmp_path) as broker:
        yield broker


def _tries(subject: Subject) -> list[datetime]:
    wanted = select(ConnectionEvent.at).where(
        ConnectionEvent.connection_id == subject.id, ConnectionEvent.state == State.CONNECTING
    )
    with subject.stage.engine.connect() as transaction:
        return list(transaction.scalars(wanted.order_by(ConnectionEvent.id)))


def _wait_for_all(subjects: list[Subject], state: State, seconds: float) -> None:
    wanted = {subject.name: state for subject in subjects}
    subjects[0].stage.worker.wait_for_states(wanted, seconds)


def test_b1_b4_b13_tries_at_brokers_that_do_not_keep_a_session_thin_out(
    stage: Stage, mosquitto: Mosquitto
) -> None:
    with ExitStack() as brokers, Oracle(stage) as oracle:
        proxies = [brokers.enter_context(FaultProxy(mosquitto.port)) for _ in range(2)]
        absent, resetting = proxies
        absent.refuse()
        flapping = [brokers.enter_context(ScriptedBroker(close_after(s))) for s in (0.0, 1.0)]
        waiting = [oracle.add(absent.port) for _ in range(5)]
        reset = oracle.add(resetting.port)
        flaps = [oracle.add(broker.port) for broker in flapping]
        over = Event()
        storm = Thread(target=_reset_every_second, args=(resetting, over))
        storm.start()
        try:
            time.sleep(DURATION)
        finally:
            over.set()
            storm.join()
        _check_tries([*waiting, reset, *flaps])
        note("B1", f"tries in {DURATION:g} s without a broker", len(_tries(waiting[0])), "")
        for broker, seconds in zip(flapping, (0, 1), strict=True):
            connects = len(broker.connects)
            assert 2 <= connects <= MOST_TRIES
            note("B4", f"connects in {DURATION:g} s, closed after {seconds} s", connects, "")
        note("B13", f"tries in {DURATION:g} s of resets", len(_tries(reset)), "")
        absent.accept()
        started = time.monotonic()
        _wait_for_all(waiting, State.CONNECTED, 35.0)
        note("B1", "all of 5 online after the broker's start", time.monotonic() - started)


def _reset_every_second(proxy: FaultProxy, over: Event) -> None:
    while not over.wait(1.0):
        proxy.reset_all()


def _check_tries(subjects: list[Subject]) -> None:
    for subject in subjects:
        tried = _tries(subject)
        assert 2 <= len(tried) <= 2 * MOST_TRIES, subject.events()
        assert min(later - at for at, later in pairwise(tried)) >= A_SECOND


def test_b17_a_crowd_comes_back_soon_and_spread_and_is_told_of_once(
    crowd_broker: Mosquitto, oracle: Oracle
) -> None:
    told_before = len(oracle.stage.log())
    with StormLog(crowd_broker.log_file) as log:
        subjects = [oracle.add(crowd_broker.port) for _ in range(CROWD)]
        _wait_for_all(subjects, State.CONNECTED, 30.0)
        assert subjects[0].status().down_since is None
        log.longest_gap = 0.0
        killed_at = time.monotonic()
        crowd_broker.kill()
        time.sleep(OUTAGE)
        assert subjects[0].status().down_since is not None
        crowd_broker.start()
        _wait_for_all(subjects, State.CONNECTED, 30.0)
        accepted = [(at, client) for at, client in log.accepted if at > killed_at]
    returned_at = log.listens_at[-1]
    first: dict[bytes, float] = {}
    for at, client in accepted:
        first.setdefault(client, at - returned_at)
    waits = list(first.values())
    assert len(waits) == len(accepted) == CROWD
    assert quantile(waits, 0.99) <= MOST_BACK
    assert max(waits) <= ALL_BACK
    # What we saw within less than 100 ms, late as we may have been, happened within 100 ms.
    peak = most_within([at for at, _ in accepted], PEAK_WINDOW - min(log.longest_gap, 0.09))
    assert peak <= PEAK
    assert connects_a_second(accepted) == 1
    assert subjects[0].status().down_since is None
    _check_told_once(oracle, crowd_broker.port, told_before)
    note("B17", f"{CROWD} back: half after", quantile(waits, 0.5))
    note("B17", f"{CROWD} back: 99 % after", quantile(waits, 0.99))
    note("B17", f"{CROWD} back: all after", max(waits))
    note("B17", "most CONNACKs in 100 ms", peak, "")


def _check_told_once(oracle: Oracle, port: int, told_before: int) -> None:
    def told() -> list[str]:
        lines = oracle.stage.log()[told_before:].splitlines()
        return [json.loads(line)["event"] for line in lines if f"127.0.0.1:{port}" in line]

    oracle.stage.wait_for(lambda: any("back after" in line for line in told()), 5.0, "the end")
    lost, back = [line for line in told() if f"{CROWD} connections" in line]
    assert lost.startswith(f"{CROWD} of {CROWD} connections to 127.0.0.1:{port} lost within")
    assert lost.endswith("the broker or the network, not the records")
    assert back.startswith(f"all {CROWD} connections to 127.0.0.1:{port} back after")
    assert len(told()) <= 2 + 10


def test_b18_a_broker_that_flaps_touches_nobody_elses_connections(
    stage: Stage, tmp_path: Path
) -> None:
    with ExitStack() as running, Oracle(stage) as oracle:
        brokers = [running.enter_context(Mosquitto(tmp_path)) for _ in range(BROKERS)]
        groups = [[oracle.add(broker.port) for _ in range(EACH)] for broker in brokers]
        everybody = [subject for group in groups for subject in group]
        _wait_for_all(everybody, State.CONNECTED, 30.0)
        for _ in range(ROUNDS):
            for broker, group in zip(brokers, groups, strict=True):
                others = [subject for subject in everybody if subject not in group]
                before = [len(subject.events()) for subject in others]
                broker.kill()
                time.sleep(FLAP)
                broker.start()
                _wait_for_all(group, State.CONNECTED, 30.0)
                assert [len(subject.events()) for subject in others] == before
        note("B18", "drops at other brokers", 0, "")
