"""Brokers that take the login for the client id: our own connections, and tests of them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import gevent
import pytest
from sqlalchemy import Engine

from database.certificate_subject import common_name
from database.reasons import explain
from database.words import Certainty
from database.words import ConnectionState as State
from mqttworker.core.cause import Cause, cause
from mqttworker.core.events import Closed, Event, Lost, Opened
from mqttworker.core.spec import ConnectionSpec, TLSSettings
from mqttworker.service.shared_logins import LONGEST_WAIT, LOOK_AGAIN, PATIENCE, SharedLogins
from tests.conftest import HOSTNAME
from tests.support.certificates import Certificates
from tests.support.chains import Issued
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer
from tests.worker.service.asking import ask, draft, finished, step, words
from tests.worker.service.worker import (
    ONE_DATABASE,
    WorkerProcess,
    add,
    change,
    events,
    states,
    status,
)

Start = Callable[..., Mosquitto]
LOGIN: dict[str, Any] = {"username": "plant", "password": "p"}
BY_USER_NAME = "use_username_as_clientid true"
BY_CERTIFICATE = f"use_identity_as_username true\n{BY_USER_NAME}"


def _told(engine: Engine, name: str) -> str:
    row = status(engine, name)
    return explain(row.reason_code, row.detail)


def _who_stays(engine: Engine, worker: WorkerProcess) -> tuple[str, str]:
    """Wait until one of two connections stays and the other gives way; return both."""

    def settled() -> bool:
        return sorted(states(engine).values()) == [State.CONNECTED, State.COOLDOWN]

    worker.child.wait_for(settled, 30.0, "one to stay and one to give way")
    names = {state: name for name, state in states(engine).items()}
    return names[State.CONNECTED], names[State.COOLDOWN]


@ONE_DATABASE
@pytest.mark.parametrize("protocol", ["auto", "3.1.1"])
def test_two_connections_with_one_login_name_each_other_and_the_older_one_stays(
    engine: Engine, start_mosquitto: Start, worker: WorkerProcess, protocol: str
) -> None:
    broker = start_mosquitto(extra=BY_USER_NAME)
    old = add(engine, "old", broker.port, protocol=protocol, **LOGIN)
    new = add(engine, "new", broker.port, protocol=protocol, is_enabled=False, **LOGIN)
    add(engine, "other", broker.port, protocol=protocol, username="other", password="p")
    worker.start()
    worker.wait_for_states({"old": State.CONNECTED, "other": State.CONNECTED})
    change(engine, "new", is_enabled=True)
    worker.wait_for_states({"new": State.COOLDOWN, "old": State.CONNECTED})
    assert (State.BACKOFF, "shared_login_takeover") in events(engine, old)
    assert "connection old" in _told(engine, "new")
    row = status(engine, "new")
    assert (row.reason_code, row.certainty) == ("shared_login_takeover", Certainty.INFERRED)
    assert (row.next_attempt_at - row.since).total_seconds() == pytest.approx(60.0, abs=0.5)
    # One takeover, and both are told of it.
    assert [state for state, _ in events(engine, new)].count(State.CONNECTED) == 1
    assert [state for state, _ in events(engine, old)].count(State.CONNECTED) == 2
    assert not {"duplicate_client_id", "session_taken_over"} & {
        code for number in (old, new) for _, code in events(engine, number)
    }
    assert status(engine, "other").state is State.CONNECTED
    # Asked by an operator it tries again, and gives way for good the second time.
    ask(engine, "clear_cooldown", new)
    worker.child.wait_for(lambda: "waits while" in _told(engine, "new"), 10.0, "proof")
    worker.wait_for_states({"new": State.COOLDOWN, "old": State.CONNECTED})
    change(engine, "new", username="new", revision=2)
    worker.wait_for_states({"new": State.CONNECTED, "old": State.CONNECTED})


@ONE_DATABASE
def test_connections_with_one_certificate_are_found_out_from_the_start(
    engine: Engine, start_mosquitto: Start, worker: WorkerProcess, certificates: Certificates
) -> None:
    tls = certificates.tls(require_client_certificate=True)
    broker = start_mosquitto(tls=tls, extra=BY_CERTIFICATE)
    assert broker.tls_port
    client = {
        "tls": True,
        "tls_ca_pem": certificates.ca.certificate_pem,
        "tls_client_cert_pem": certificates.client.certificate_pem,
        "tls_client_key_pem": certificates.client.key_pem,
    }
    for name in ("a", "b"):
        add(engine, name, broker.tls_port, **client)
    worker.start()
    stays, gave_way = _who_stays(engine, worker)
    assert f"connection {stays}" in _told(engine, gave_way)


@ONE_DATABASE
def test_a_test_that_ends_the_live_session_stops_says_so_and_is_not_played_again(
    engine: Engine, start_mosquitto: Start, worker: WorkerProcess
) -> None:
    broker = start_mosquitto(extra=BY_USER_NAME)
    number = add(engine, "plant", broker.port, "plant/#", **LOGIN)
    worker.start()
    worker.wait_for_states({"plant": State.CONNECTED})
    record: dict[str, Any] = {"site": "plant", **LOGIN}
    result = finished(engine, ask(engine, "test", number, draft(broker.port, **record))).result
    assert result["code"] == "test_stopped"
    assert step(result, "publish")["reason_code"] == "shared_login_takeover"
    assert "connection plant" in explain("shared_login_takeover", step(result, "publish")["detail"])
    assert step(result, "will")["state"] == "skipped"
    worker.child.wait_for(
        lambda: (State.BACKOFF, "shared_login_takeover") in events(engine, number), 5.0, "a reason"
    )
    worker.wait_for_states({"plant": State.CONNECTED}, 10.0)
    # One throw for the whole test, and none for the next ones.
    again = finished(engine, ask(engine, "test", number, draft(broker.port, **record))).result
    assert again["code"] == "test_would_end_session"
    assert "connection plant" in words(again)
    real = draft(broker.port, "plant/#", real_id=True, **record)
    result = finished(engine, ask(engine, "test", number, real)).result
    assert (result["verdict"], step(result, "will")["reason_code"]) == ("ok", "one_session_a_login")
    worker.wait_for_states({"plant": State.CONNECTED}, 10.0)
    losses = [each for each in events(engine, number) if each[0] is State.BACKOFF]
    assert losses == [(State.BACKOFF, "shared_login_takeover")]


@ONE_DATABASE
def test_a_test_whose_own_sessions_end_each_other_says_so(
    engine: Engine, start_mosquitto: Start, worker: WorkerProcess
) -> None:
    broker = start_mosquitto(extra=BY_USER_NAME)
    add(engine, "elsewhere", broker.port, username="other", password="p")
    worker.start()
    worker.wait_for_states({"elsewhere": State.CONNECTED})
    result = finished(engine, ask(engine, "test", None, draft(broker.port, **LOGIN))).result
    assert (result["verdict"], step(result, "will")["reason_code"]) == (
        "warning",
        "one_session_a_login",
    )


@ONE_DATABASE
def test_a_broker_that_keeps_logins_apart_is_never_blamed(
    engine: Engine, mosquitto: Mosquitto, worker: WorkerProcess
) -> None:
    names = ("a", "b", "c")
    numbers = [add(engine, name, mosquitto.port, **LOGIN) for name in names]
    all_up = dict.fromkeys(names, State.CONNECTED)
    worker.start()
    worker.wait_for_states(all_up)
    for number in (signal.SIGTERM, signal.SIGKILL):
        mosquitto.stop() if number is signal.SIGTERM else mosquitto.kill()
        mosquitto.start()
        worker.wait_for_states(all_up)
    # One is edited at the moment at which somebody else takes over another one.
    change(engine, "b", keepalive_s=7, revision=2)
    with Observer(mosquitto.port, ("x",), client_id=f"a_{HOSTNAME}"):
        worker.child.wait_for(
            lambda: (State.BACKOFF, "peer_closed") in events(engine, numbers[0]), 10.0, "a loss"
        )
    worker.child.wait_for(
        lambda: any(code == "config_changed" for _, code in events(engine, numbers[1])),
        10.0,
        "the edit",
    )
    worker.wait_for_states({"b": State.CONNECTED, "c": State.CONNECTED})
    test = finished(engine, ask(engine, "test", None, draft(mosquitto.port, **LOGIN))).result
    assert test["verdict"] == "ok"
    codes = {code for number in numbers for _, code in events(engine, number)}
    assert "shared_login_takeover" not in codes


# --- without a broker ------------------------------------------------------------------------


class Played:
    """A client that is played by hand."""

    def __init__(self, logins: SharedLogins, name: str, **columns: Any) -> None:
        self.name = name
        self.logins = logins
        numbers = {"connection_id": len(name), "client_id": name}
        self.spec = ConnectionSpec(**{"host": "h", "port": 1883, **numbers, **columns})
        self.gave_way: list[Cause] = []

    def give_way(self, why: Cause) -> None:
        self.gave_way.append(why)

    def hear(self, event: Event) -> None:
        self.logins.hear(self, event)

    def up(self) -> None:
        self.logins.tries(self, self.spec)
        self.hear(Opened("5"))


class Scene:
    """Clients with one login, and a clock."""

    def __init__(self) -> None:
        #: Seconds that this clock is ahead of the real one.
        self.ahead = 0.0
        self.logins = SharedLogins(self.clock)
        self.play = partial(Played, self.logins, username="u")

    def clock(self) -> float:
        return time.monotonic() + self.ahead

    def takeover(self, old: Played, new: Played, lost_beside: tuple[int, ...] = ()) -> Cause | None:
        """Let `new` begin as `old` ends."""
        self.logins.tries(new, new.spec)
        old.hear(Lost(cause("peer_closed")))
        new.hear(Opened("5"))
        return self.logins.takeover(old, lost_beside)


def test_who_stood_longer_stays_and_the_other_one_is_held_while_it_does() -> None:
    scene = Scene()
    old, new = scene.play("old"), scene.play("a_new")
    for count in (1, 2):
        old.up()
        scene.ahead += 100
        told = scene.takeover(old, new)
        assert told is not None
        assert explain(told.code, told.detail).startswith("Connection a_new logged in")
        new.hear(Closed())
        assert len(new.gave_way) == count
        assert not old.gave_way
    now = scene.clock()
    assert scene.logins.earliest_try(new, now) == now
    old.up()
    assert scene.logins.earliest_try(new, now) == now + LOOK_AGAIN
    assert scene.logins.earliest_try(new, now + LONGEST_WAIT) == now + LONGEST_WAIT
    scene.logins.broker_went(old)
    assert scene.logins.earliest_try(new, now) == now


@pytest.mark.parametrize(
    "columns",
    [
        {"username": "v"},
        {"username": None},
        {"host": "elsewhere"},
        {"username": None, "tls": TLSSettings(client_cert_pem="u")},
    ],
)
def test_another_login_or_another_broker_is_not_suspected(columns: dict[str, Any]) -> None:
    scene = Scene()
    old, new = scene.play("old"), scene.play("a_new")
    new.spec = replace(new.spec, **columns)
    old.up()
    scene.ahead += 100
    assert scene.takeover(old, new) is None
    assert not new.gave_way


def test_a_certificate_counts_by_its_common_name(certificates: Certificates) -> None:
    pem = certificates.client.certificate_pem
    assert common_name(pem) == "client"
    assert common_name("no PEM") is None
    scene = Scene()
    tls = TLSSettings(client_cert_pem=pem)
    old = scene.play("old", username="x", tls=tls)
    renewed = replace(tls, client_cert_pem=Issued("client").pem, verify=False)
    new = scene.play("a_new", username=None, port=8883, tls=renewed)
    old.up()
    scene.ahead += 100
    assert scene.takeover(old, new) is not None


def test_losses_of_connections_with_other_logins_speak_of_the_broker() -> None:
    scene = Scene()
    old, new, third = scene.play("old"), scene.play("a_new"), scene.play("a third", username="v")
    for client in (old, third):
        client.up()
    scene.ahead += 100
    assert scene.takeover(old, new, (third.spec.connection_id,)) is None
    old.up()
    assert scene.takeover(old, new, (new.spec.connection_id,)) is not None


def test_what_is_lost_together_has_not_ended_each_other() -> None:
    scene = Scene()
    old, new = scene.play("old"), scene.play("a_new")
    old.up()
    scene.ahead += 100
    new.up()
    old.hear(Lost(cause("peer_closed")))
    waiting = gevent.spawn(scene.logins.takeover, old, ())
    gevent.sleep(0.05)
    new.hear(Lost(cause("peer_closed")))
    assert waiting.get(timeout=5) is None
    assert not new.gave_way


def test_one_that_did_not_come_up_has_ended_nobody() -> None:
    scene = Scene()
    old, new = scene.play("old"), scene.play("a_new")
    old.up()
    scene.ahead += 100
    scene.logins.tries(new, new.spec)
    old.hear(Lost(cause("peer_closed")))
    waiting = gevent.spawn(scene.logins.takeover, old, ())
    gevent.sleep(0)
    assert not waiting.ready()
    scene.logins.leaves(new)
    new.hear(Closed())
    old.hear(Closed())
    # At once: there is nobody left to wait for.
    assert waiting.get(timeout=PATIENCE / 2) is None


def test_nothing_is_left_of_clients_that_are_gone() -> None:
    scene = Scene()
    old, new = scene.play("old"), scene.play("a_new")
    old.up()
    new.up()
    for client in (old, new):
        scene.logins.leaves(client)
    assert not scene.logins._entries
    assert not scene.logins._logins
