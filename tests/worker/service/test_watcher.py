"""The watcher outside the worker: whom it ends, whom it leaves alone, and when it ends itself."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

import pytest

from mqttworker.adapters.pulse import SOCKET_NAME, Pulse
from tests.support.process import Child

ROOT = Path(__file__).parents[3]
#: How soon a frozen process is gone: 4.25 s of silence, a tick, and the endings.
ENDED_WITHIN = 6.0  # seconds

#: A process that shows its vitals as the worker does, says so, and sleeps in the hub.
LIVING = """
import sys, gevent, signal
from pathlib import Path
from mqttworker.adapters import process, signals
from mqttworker.service.vitals import Vitals
process.show_stacks_when_dying()
vitals = Vitals(Path(sys.argv[1]))
vitals.start()
if "look" in sys.argv:
    signals.on_continue(vitals.check)
if "goodbye" in sys.argv:
    gevent.sleep(0.2)
    vitals.end()
print("living", flush=True)
def sleep_here():
    gevent.sleep(60)
sleep_here()
"""


class Watcher:
    """The real watcher with this test in the place of supervisord."""

    def __init__(self, home: Path) -> None:
        self._log = (home / "watcher.log").open("wb")
        self.home = home
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-m", "mqttworker.watcher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            cwd=ROOT,
            env={"HAWSER_HOME": str(home), "SUPERVISOR_SERVER_URL": f"unix://{home}/knock"},
        )
        self._read(b"READY\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stdin.close()
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._log.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self.process.stdin is not None
        return self.process.stdin

    def event(self, name: str, payload: bytes, pieces: int = 1) -> None:
        """Send one event of supervisord, in several pieces if asked."""
        data = f"ver:3.0 server:x serial:1 eventname:{name} len:{len(payload)}\n".encode() + payload
        size = -(-len(data) // pieces)
        for start in range(0, len(data), size):
            self._stdin.write(data[start : start + size])
            self._stdin.flush()

    def expect_answer(self) -> None:
        """Read the answer to one event."""
        self._read(b"RESULT 2\nOKREADY\n")

    def hang_up(self) -> None:
        """Close the pipe, as the death of supervisord does."""
        self._stdin.close()

    def log(self) -> str:
        """Return what it has logged."""
        return (self.home / "watcher.log").read_text(encoding="utf-8")

    def _read(self, wanted: bytes) -> None:
        assert self.process.stdout is not None
        assert self.process.stdout.read(len(wanted)) == wanted


@pytest.fixture
def watcher(home: Path) -> Iterator[Watcher]:
    """A watcher that listens."""
    with Watcher(home) as made:
        yield made


#: A process that sends one pulse, ignores SIGABRT and does nothing more.
DEAF = """
import signal, sys
from pathlib import Path
from mqttworker.adapters.pulse import Pulse
signal.signal(signal.SIGABRT, signal.SIG_IGN)
Pulse(Path(sys.argv[1])).beat()
print("living", flush=True)
signal.pause()
"""


def _deaf(home: Path) -> Child:
    child = Child([sys.executable, "-c", DEAF, str(home)], home / "deaf.log", cwd=ROOT)
    child.wait_for_output("living", 10)
    return child


def _living(home: Path, *options: str) -> Child:
    command = [sys.executable, "-c", LIVING, str(home), *options]
    child = Child(command, home / f"living{'-'.join(options)}.log", cwd=ROOT)
    child.wait_for_output("living", 10)
    return child


def test_a_frozen_process_is_ended_and_nobody_else(tmp_path: Path) -> None:
    # Longer than the address of a socket may be.
    home = tmp_path / ("d" * 120)
    home.mkdir()
    with Watcher(home) as killed:
        killed.process.kill()
    assert (home / SOCKET_NAME).is_socket()
    with (
        Watcher(home) as watcher,
        _living(home, "look") as frozen,
        _living(home, "goodbye") as gone,
        _deaf(home) as deaf,
    ):
        began = time.monotonic()
        frozen.freeze()
        gone.freeze()
        assert frozen.wait(ENDED_WITHIN) == 1
        assert time.monotonic() - began > 3.0
        # One of the two shows the stacks, not both, into each other.
        said = ["the worker was frozen for" in frozen.output(), "Timeout (" in frozen.output()]
        assert said in ([True, False], [False, True])
        assert "gevent/hub.py" in frozen.output()
        # What ignores all that can be ignored is killed.
        assert deaf.wait(3.0) == -signal.SIGKILL
        # It said goodbye, so nobody expects anything of it.
        assert gone.running
        log = [json.loads(line) for line in watcher.log().splitlines()]
        states = {line["pid"]: line["process_state"] for line in log}
        assert states == {frozen.pid: "T (stopped)", deaf.pid: "S (sleeping)"}


def test_supervisord_is_woken_when_a_process_dies(home: Path) -> None:
    with socket.socket(socket.AF_UNIX) as supervisord, Watcher(home), _living(home) as killed:
        supervisord.bind(str(home / "knock"))
        supervisord.listen()
        supervisord.settimeout(5)
        # Known to the watcher once its first pulse has been read.
        time.sleep(0.7)
        killed.kill()
        supervisord.accept()[0].close()


def test_events_of_supervisord_are_answered_whole_or_in_pieces(watcher: Watcher) -> None:
    watcher.event("PROCESS_STATE_RUNNING", b"processname:web groupname:web from_state:STARTING")
    watcher.expect_answer()
    watcher.event("PROCESS_STATE_EXITED", b"processname:web\nlen:7", pieces=9)
    watcher.expect_answer()


def test_it_ends_when_supervisord_stops_or_is_gone(home: Path) -> None:
    with Watcher(home) as told, Watcher(home) as cut:
        told.event("SUPERVISOR_STATE_CHANGE_STOPPING", b"")
        assert told.process.wait(5) == 0
        cut.hang_up()
        assert cut.process.wait(5) == 0


@pytest.mark.timing
def test_a_pulse_without_a_listener_costs_nothing(home: Path) -> None:
    nowhere = Pulse(home / "missing")
    nowhere.beat()
    nowhere.goodbye()
    pulse = Pulse(home)
    pulse.beat()
    with Watcher(home) as watcher:
        watcher.process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        # More than the socket's queue holds.
        for _ in range(1000):
            pulse.beat()
        assert time.monotonic() - began < 0.5
    pulse.goodbye()
