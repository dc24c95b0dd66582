"""What lets several processes run tests at the same time does what it says."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from ops import checks
from tests.structure.source import ROOT
from tests.support import scratch
from tests.support.process import HOST, accepts, free_port, wait_until
from tests.support.turns import turn

COUNT = 5


def test_two_processes_are_never_given_the_same_port() -> None:
    code = f"from bench.ports import free_port\nprint(*(free_port() for _ in range({COUNT})))"
    command = [sys.executable, "-c", code]
    own = {free_port() for _ in range(COUNT)}
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    others = {int(word) for word in output.split()}
    assert len(own) == len(others) == COUNT
    assert own.isdisjoint(others)


def test_a_port_that_is_in_use_is_not_given_out() -> None:
    port = free_port()
    assert not accepts(port)
    with socket.create_server((HOST, port + 1)):
        assert free_port() != port + 1


@pytest.fixture
def take_turn(tmp_path: Path) -> Callable[..., None]:
    """A function that waits for a turn in an empty house and then calls another."""
    queue, machine = tmp_path / "queue", tmp_path / "machine"
    queue.mkdir()
    machine.mkdir()

    def take(then: Callable[[], object], *, alone: bool = False) -> None:
        with turn(alone=alone, queue=queue, machine=machine):
            then()

    return take


def test_tests_share_the_machine(take_turn: Callable[..., None]) -> None:
    inside: list[int] = []
    take_turn(lambda: take_turn(lambda: inside.append(1)))
    assert inside == [1]


def test_nobody_runs_beside_a_test_that_is_alone(take_turn: Callable[..., None]) -> None:
    order: list[str] = []
    leave, waiting = threading.Event(), threading.Event()

    def first() -> None:
        waiting.set()
        leave.wait(10)
        order.append("first out")

    with ExitStack() as threads:

        def start(name: Callable[[], object], *, alone: bool = False) -> None:
            made = threading.Thread(target=take_turn, args=(name,), kwargs={"alone": alone})
            made.start()
            threads.callback(made.join)

        threads.callback(leave.set)
        start(first)
        assert waiting.wait(10)
        start(lambda: order.append("alone"), alone=True)
        assert order == []
        leave.set()
        wait_until(lambda: len(order) == 2, 10, lambda: str(order))
    assert order == ["first out", "alone"]


def test_a_directory_without_room_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "ENOUGH", 1)
    assert scratch.has_room(tmp_path)
    monkeypatch.setattr(scratch, "ENOUGH", 1 << 62)
    assert not scratch.has_room(tmp_path)
    assert not scratch.has_room(tmp_path / "missing")


def test_a_debugger_gets_the_only_process() -> None:
    assert checks.distribution(["-k", "health"])[0] == "-n"
    assert checks.distribution(["tests/web", "--pdb"]) == []
