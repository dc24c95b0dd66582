"""Row B15: host names that do not exist, cannot be asked for, or move."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from database.words import ConnectionState as State
from tests.faults.figures import note
from tests.faults.oracle import Oracle
from tests.faults.stage import TOLD_WITHIN, Stage
from tests.support.fault_proxy import FaultProxy
from tests.support.nameserver import NameServer

#: Names that hang at the same time, and the deadline of their records, seconds.
HANGING, TIMEOUT = 20, 2


@pytest.fixture
def names(stage: Stage) -> Iterator[NameServer]:
    """The name server that the worker asks."""
    if stage.names is None:
        pytest.skip(stage.no_names)
    yield stage.names
    stage.names.silent.clear()


def test_b15_a_name_that_does_not_exist_is_told(oracle: Oracle, names: NameServer) -> None:
    subject = oracle.add(1883, host="nowhere.hawser.test")
    said = subject.wait(None, "dns_failed")
    assert "nowhere.hawser.test" in said["reason"]
    subject.stage.wait_for(lambda: subject.status().attempt > 1, 10.0, "another try")
    assert names.asked["nowhere.hawser.test"] >= 2


def test_b15_a_server_that_fails_is_told_and_tried_again(
    oracle: Oracle, names: NameServer, stage: Stage
) -> None:
    names.failing.add("later.hawser.test")
    subject = oracle.add(stage.mosquitto.port, host="later.hawser.test")
    subject.wait(None, "dns_failed")
    names.failing.clear()
    names.addresses["later.hawser.test"] = "127.0.0.1"
    note("B15", "SERVFAIL over: connected after", subject.seconds_until(State.CONNECTED, None, 10))


def test_b15_names_that_hang_hold_up_nobody_else(
    oracle: Oracle, names: NameServer, stage: Stage
) -> None:
    hanging = [f"hangs-{number}.hawser.test" for number in range(HANGING)]
    names.silent.update(hanging)
    subjects = [oracle.add(1883, host=name, connect_timeout_s=TIMEOUT) for name in hanging]
    names.addresses["quick.hawser.test"] = "127.0.0.1"
    took = oracle.add(stage.mosquitto.port, host="quick.hawser.test").seconds_until(State.CONNECTED)
    for subject in subjects:
        subject.wait(None, "dns_failed", TIMEOUT + TOLD_WITHIN)
    note("B15", f"beside {HANGING} names that hang: another one is connected after", took)
    note("B15", "the hub was late by at most", oracle.most_lag_ms, "ms")
    # The look-ups end by themselves, and with them their sockets.
    names.silent.clear()
    for subject in subjects:
        subject.change(is_enabled=False)


def test_b15_a_name_is_looked_up_at_every_try(
    oracle: Oracle, names: NameServer, stage: Stage
) -> None:
    names.addresses["moves.hawser.test"] = "127.0.0.2"
    with FaultProxy(stage.mosquitto.port, "127.0.0.2") as old:
        subject = oracle.add(old.port, host="moves.hawser.test")
        subject.wait(State.CONNECTED)
        old.refuse()
        names.addresses["moves.hawser.test"] = "127.0.0.3"
        with FaultProxy(
            stage.mosquitto.port, listen=lambda _: socket.create_server(("127.0.0.3", old.port))
        ) as new:
            old.close_all()
            subject.wait(None, "peer_closed")
            took = subject.seconds_until(State.CONNECTED, None, 10.0)
            assert (old.open_now, new.open_now) == (0, 1)
            note("B15", "the address changed: connected to the new one after", took)
            stage.remove([subject])
