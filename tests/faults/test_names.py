"""Row B15: host names that do not exist, cannot be asked for, move, or lead where they must not.

Linux takes 0.0.0.0, which no record may point at, for 127.0.0.1: a proxy that listens there
would see whoever connects to either.
"""

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
from tests.worker.service.asking import ask, draft, failing_step, finished, step

#: Names that hang at the same time, and the deadline of their records, seconds.
HANGING, TIMEOUT = 20, 2
#: Refused by default.
FORBIDDEN = "0.0.0.0"


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


def test_b15_a_name_that_comes_to_lead_to_a_forbidden_address_gets_no_packet(
    oracle: Oracle, names: NameServer, stage: Stage
) -> None:
    names.addresses["rebinds.hawser.test"] = "127.0.0.1"
    with FaultProxy(stage.mosquitto.port) as proxy:
        subject = oracle.add(proxy.port, host="rebinds.hawser.test")
        subject.wait(State.CONNECTED)
        names.addresses["rebinds.hawser.test"] = f"{FORBIDDEN} 169.254.169.254"
        proxy.close_all()
        told = subject.wait(State.REFUSED, "address_not_allowed")
        assert FORBIDDEN in told["reason"]
        assert "169.254.169.254" in told["reason"]
        assert proxy.accepted == 1
        socket.create_connection((FORBIDDEN, proxy.port)).close()
        stage.wait_for(lambda: proxy.accepted == 2, 5.0, "the proxy to see who connects there")
        names.addresses["rebinds.hawser.test"] = f"{FORBIDDEN} 127.0.0.1"
        subject.change(keepalive_s=7)
        subject.wait(State.CONNECTED)
        stage.remove([subject])


def test_b15_what_was_checked_is_what_is_connected_to(
    oracle: Oracle, names: NameServer, stage: Stage
) -> None:
    names.addresses["flips.hawser.test"] = "127.0.0.2"
    names.then["flips.hawser.test"] = FORBIDDEN
    with (
        FaultProxy(stage.mosquitto.port) as forbidden,
        FaultProxy(
            stage.mosquitto.port,
            listen=lambda _: socket.create_server(("127.0.0.2", forbidden.port)),
        ) as allowed,
    ):
        subject = oracle.add(forbidden.port, host="flips.hawser.test")
        subject.wait(State.CONNECTED)
        assert names.addresses["flips.hawser.test"] == FORBIDDEN
        assert (allowed.accepted, forbidden.accepted) == (1, 0)
        stage.remove([subject])


def test_b15_a_draft_is_tested_under_the_same_rule(names: NameServer, stage: Stage) -> None:
    names.addresses["inside.hawser.test"] = FORBIDDEN
    with FaultProxy(stage.mosquitto.port) as proxy:
        parameters = draft(proxy.port, host="inside.hawser.test")
        result = finished(stage.engine, ask(stage.engine, "test", None, parameters)).result
        assert failing_step(result) == ("dns", "address_not_allowed")
        assert step(result, "dns")["detail"]["addresses"] == FORBIDDEN
        for host, port in ((FORBIDDEN, proxy.port), ("0x7f.1", proxy.port), ("localhost", 22)):
            asked = ask(stage.engine, "test", None, draft(port, host=host))
            assert finished(stage.engine, asked).result["code"] == "config_error"
        assert proxy.accepted == 0
