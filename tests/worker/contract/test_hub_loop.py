"""asyncio on the hub: nothing patched, nothing delayed by names that cannot be looked up."""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import gevent
import pytest
from gevent.event import Event as Signal

from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.hub_selector import MOST_EVENTS
from mqttworker.adapters.hub_turn import yield_to_hub
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import in_thread, settle, spec_for


def test_the_worker_is_not_patched() -> None:
    code = (
        "import mqttworker.__main__, socket, threading, ssl\n"
        "from gevent import monkey\n"
        "assert not monkey.saved, monkey.saved\n"
        "assert socket.socket.__module__ == 'socket', socket.socket.__module__\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=30)


def test_the_loop_refuses_a_patched_process() -> None:
    code = (
        "from gevent import monkey; monkey.patch_all()\n"
        "from mqttworker.adapters.hub_loop import HubLoop\n"
        "try: HubLoop()\n"
        "except AssertionError: pass\n"
        "else: raise SystemExit('not refused')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


@pytest.mark.timing
def test_a_greenlet_wakes_a_loop_that_sleeps(hub_loop: HubLoop) -> None:
    gevent.sleep(0)
    called = Signal()
    started = time.monotonic()
    hub_loop.call(called.set)
    assert called.wait(1.0)
    assert time.monotonic() - started < 0.1


def test_long_work_in_turns_lets_timers_run(hub_loop: HubLoop) -> None:
    woken = 0

    def look() -> None:
        nonlocal woken
        while True:
            gevent.sleep(0.001)
            woken += 1

    looking = gevent.spawn(look)
    gevent.sleep(0)
    for _ in range(20):
        until = time.monotonic() + 0.003
        while time.monotonic() < until:
            pass
        yield_to_hub()
    looking.kill()
    # With gevent.sleep(0) it is none.
    assert woken >= 10


def test_many_sockets_that_are_ready_are_served_a_few_a_turn_and_all_in_the_end(
    hub_loop: HubLoop,
) -> None:
    pairs = [socket.socketpair() for _ in range(MOST_EVENTS * 3)]
    served: list[int] = []
    most_at_once, all_served = 0, Signal()

    def serve(number: int) -> None:
        served.append(number)
        if len(set(served)) == len(pairs):
            all_served.set()

    def look() -> None:
        nonlocal most_at_once
        before = len(served)
        while not all_served.is_set():
            gevent.sleep(0)
            most_at_once = max(most_at_once, len(served) - before)
            before = len(served)

    def watch() -> None:
        for number, (reader, writer) in enumerate(pairs):
            writer.send(b"x")
            # Never read: it stays ready, and must not keep the others from their turn.
            hub_loop.loop.add_reader(reader, serve, number)

    looking = gevent.spawn(look)
    hub_loop.call(watch)
    assert all_served.wait(5.0)
    looking.join()
    hub_loop.call(lambda: [hub_loop.loop.remove_reader(reader) for reader, _ in pairs])
    settle(hub_loop)
    for end in itertools.chain(*pairs):
        end.close()
    assert most_at_once <= MOST_EVENTS


def test_greenlets_go_on_while_the_loop_works(hub_loop: HubLoop) -> None:
    turns = 0
    done = Signal()

    def turn() -> None:
        nonlocal turns
        turns += 1
        if turns < 100:
            hub_loop.loop.call_soon(turn)
        else:
            done.set()

    hub_loop.call(turn)
    assert done.wait(1.0)
    assert turns == 100


@pytest.fixture
def hanging_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A resolver that never answers for names below hang.invalid; the names it was asked for."""
    release = threading.Event()
    asked: list[str] = []
    original = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        if str(host).endswith(".hang.invalid"):
            asked.append(str(host))
            release.wait(20)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return original(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield asked
    release.set()


@pytest.mark.alone
def test_two_hundred_names_that_hang_do_not_delay_a_good_one(
    scripted_broker: ScriptedBroker, open_try: OpenTry, hanging_names: list[str]
) -> None:
    dead = [
        open_try(spec_for(1883, host=f"broker-{number}.hang.invalid", connect_timeout_s=2.0))
        for number in range(200)
    ]
    good = open_try(spec_for(scripted_broker.port, host="localhost"))
    good.opened(1.0)
    for attempt in dead:
        assert attempt.failure(4.0).code == "dns_failed"
    assert len(hanging_names) == 200


@pytest.mark.timing
def test_a_name_that_hangs_is_given_up_at_the_deadline(
    open_try: OpenTry, hanging_names: list[str]
) -> None:
    attempt = open_try(spec_for(1883, host="broker.hang.invalid", connect_timeout_s=0.5))
    assert attempt.failure().code == "dns_failed"
    assert time.monotonic() - attempt.started_at < 0.8
    assert hanging_names == ["broker.hang.invalid"]


def test_a_name_that_fails_does_not_stop_the_next(
    scripted_broker: ScriptedBroker, open_try: OpenTry
) -> None:
    dead = [open_try(spec_for(1883, host=f"broker-{n}.invalid")) for n in range(20)]
    open_try(spec_for(scripted_broker.port, host="localhost")).opened()
    for attempt in dead:
        assert attempt.failure().code == "dns_failed"


def test_a_name_is_looked_up_at_every_try(
    scripted_broker: ScriptedBroker, open_try: OpenTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    original = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return original(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for _ in range(2):
        open_try(spec_for(scripted_broker.port, host="localhost")).opened()
    assert asked.count("localhost") == 2


def test_the_next_address_is_tried_when_the_first_refuses(
    scripted_broker: ScriptedBroker, open_try: OpenTry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(_host: str, port: int, *_args: Any, **_options: Any) -> list[Any]:
        kind = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        return [(*kind, ("127.0.0.2", port)), (*kind, ("127.0.0.1", port))]

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", look_up)
        attempt = open_try(spec_for(scripted_broker.port, host="two.example"))
        attempt.opened(1.0)
    in_thread(scripted_broker.wait, lambda: scripted_broker.connects)
