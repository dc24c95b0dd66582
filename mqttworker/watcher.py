"""`python -m mqttworker.watcher`: ends a worker that is stopped as a whole.

Under SIGSTOP or in a frozen cgroup no watchdog inside the process can bite. Its sockets
stay open, and brokers believe in it for as long as its Keep Alive allows. So it sends a
pulse, and this process, an event listener of supervisord, ends it when the pulse stops.

Standard library only: it starts fast, is small, and shares no database with the worker.
stdin and stdout speak supervisord's protocol; the log is stderr.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from mqttworker.adapters.pulse import GOODBYE, PulseSocket
from mqttworker.core.pulses import Pulses, Silence

#: Seconds between two looks.
TICK = 0.25
#: What ends a frozen worker, and how many seconds each may take. One that goes on finds out
#: itself how long it was frozen, writes down its stacks and ends before it does anything else.
ENDINGS = ((signal.SIGCONT, 0.3), (signal.SIGABRT, 0.1), (signal.SIGKILL, 0.1))
_LENGTH = re.compile(rb"\blen:(\d+)")


class Listener:
    """supervisord's side: it wants an answer to every event, and its end is ours."""

    def __init__(self, stdin: int = 0, stdout: int = 1) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._received = b""
        self._answer(b"READY\n")

    def fileno(self) -> int:
        """Return the file descriptor, to be waited for."""
        return self._stdin

    def receive(self) -> bool:
        """Answer what has arrived; return whether supervisord goes on."""
        data = os.read(self._stdin, 65536)
        self._received += data
        while (event := self._next_event()) is not None:
            self._answer(b"RESULT 2\nOKREADY\n")
            if b"eventname:SUPERVISOR_STATE_CHANGE_STOPPING" in event:
                # It stops the others next, and need not wait for us.
                return False
        return bool(data)

    def _next_event(self) -> bytes | None:
        """Take one whole event from what was received; return its header."""
        header, newline, rest = self._received.partition(b"\n")
        length = _LENGTH.search(header)
        if not newline or length is None or len(rest) < int(length[1]):
            return None
        self._received = rest[int(length[1]) :]
        return header

    def _answer(self, words: bytes) -> None:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._stdout, words)


class Watcher:
    """Listens for pulses and ends who has none."""

    def __init__(self, pulse_socket: PulseSocket) -> None:
        self._socket = pulse_socket
        self._pulses = Pulses(time.monotonic())
        #: A handle for each process: it never means another one with the same number.
        self._handles: dict[int, int] = {}

    def run(self, listener: Listener) -> None:
        """Watch until supervisord ends."""
        while True:
            sources = [listener.fileno(), self._socket.fileno(), *self._handles.values()]
            ready, _, _ = select.select(sources, [], [], TICK)
            if listener.fileno() in ready and not listener.receive():
                return
            self._listen()
            self._forget_the_dead(ready)
            for silence in self._pulses.look(time.monotonic()):
                self._end(silence)

    def _listen(self) -> None:
        for pid, word in self._socket.receive():
            if word == GOODBYE:
                self._forget(pid)
            elif pid in self._handles or self._take(pid):
                self._pulses.heard(pid, time.monotonic())

    def _take(self, pid: int) -> bool:
        try:
            self._handles[pid] = os.pidfd_open(pid)
        except OSError:
            return False
        return True

    def _forget_the_dead(self, ready: list[int]) -> None:
        for pid, handle in list(self._handles.items()):
            if handle in ready:
                self._forget(pid)
                wake_supervisord()

    def _forget(self, pid: int) -> None:
        self._pulses.forget(pid)
        handle = self._handles.pop(pid, None)
        if handle is not None:
            os.close(handle)

    def _end(self, silence: Silence) -> None:
        """End the process, if possible with its stacks in the log."""
        pid = silence.pid
        words = "the worker is frozen as a whole: it is ended, supervisord starts it again"
        say(words, pid=pid, silent_for_s=round(silence.seconds, 1), process_state=state_of(pid))
        handle = self._handles[pid]
        with contextlib.suppress(ProcessLookupError):
            for number, patience in ENDINGS:
                signal.pidfd_send_signal(handle, number)
                if select.select([handle], [], [], patience)[0]:
                    break
        self._forget(pid)
        wake_supervisord()


def wake_supervisord() -> None:
    """Let supervisord see at once who has died, and start it again.

    It looks once a second, twice until the new process; a connection that comes and goes
    wakes it twice.
    """
    path = os.environ.get("SUPERVISOR_SERVER_URL", "").removeprefix("unix://")
    with socket.socket(socket.AF_UNIX) as knock, contextlib.suppress(OSError):
        knock.setblocking(False)
        knock.connect(path)


def state_of(pid: int) -> str:
    """Return the kernel's word for what a process does, such as `T (stopped)`."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "unknown"
    found = re.search(r"^State:\s*(.+)$", status, re.MULTILINE)
    return found[1] if found else "unknown"


def say(event: str, **values: object) -> None:
    """Write one line to stderr in the form of all other logs."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    line = {"event": event, **values, "level": "critical", "logger": __name__, "timestamp": now}
    if os.environ.get("HAWSER_LOG_FORMAT") == "console":
        rest = " ".join(f"{name}={value}" for name, value in values.items())
        sys.stderr.write(f"{now} [critical] {event} {rest}\n")
    else:
        sys.stderr.write(json.dumps(line) + "\n")
    sys.stderr.flush()


def main() -> int:
    """Watch until supervisord ends or SIGTERM; return the exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    home = Path(os.environ.get("HAWSER_HOME") or "var").absolute()
    try:
        pulse_socket = PulseSocket(home)
    except OSError as error:
        sys.stderr.write(f"watcher: HAWSER_HOME cannot hold a socket ({error.strerror})\n")
        return 1
    Watcher(pulse_socket).run(Listener())
    return 0


if __name__ == "__main__":
    sys.exit(main())
