"""Child processes: started with their output in a file, awaited, ended by pid."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Self

#: Seconds between two looks at something that cannot be awaited.
POLL_INTERVAL = 0.02
#: The pause after a look that took long, in units of what the look took, and its bound, seconds.
PAUSE_PER_LOOK, LONGEST_INTERVAL = 9, 0.2
#: Seconds that a child gets to end after a signal before it is killed.
STOP_TIMEOUT = 10.0


def wait_until(
    condition: Callable[[], object], seconds: float, what: str | Callable[[], str]
) -> None:
    """Return as soon as `condition()` is true. Raises TimeoutError that says `what` was awaited."""
    deadline = time.monotonic() + seconds
    while True:
        looked_at = time.monotonic()
        if condition():
            return
        now = time.monotonic()
        if now > deadline:
            msg = f"not within {seconds:g} s: {what if isinstance(what, str) else what()}"
            raise TimeoutError(msg)
        # A look at a database costs milliseconds, which whoever is awaited can use better.
        time.sleep(max(POLL_INTERVAL, min(PAUSE_PER_LOOK * (now - looked_at), LONGEST_INTERVAL)))


def allow_many_files() -> int:
    """Raise this process's limit of open files as far as it goes and return it.

    Children inherit it; a broker with thousands of clients needs it.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Child:
    """One child process, leader of its own session, its output in the file `log`."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
    ) -> None:
        self.log = log
        self._command = [str(word) for word in command]
        #: `time.monotonic()` of the start.
        self.started_at = time.monotonic()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if env is None else dict(env),
                cwd=cwd,
                user=user,
                group=user,
                extra_groups=None if user is None else [],
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process has not ended yet."""
        return self._process.poll() is None

    @property
    def returncode(self) -> int | None:
        """The exit status, negative for a signal, None while it runs."""
        return self._process.poll()

    def output(self) -> str:
        """Return what the process has written so far, stdout and stderr together."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        """Wait for `condition`; fail at once, with the output, if the process ends first."""

        def arrived() -> bool:
            if condition():
                return True
            if not self.running:
                msg = f"{self} ended with {self.returncode} before: {what}\n{self.output()}"
                raise ChildProcessError(msg)
            return False

        wait_until(arrived, seconds, lambda: f"{what}\n{self.output()}")

    def wait_for_output(self, text: str, seconds: float) -> None:
        """Wait until the output holds `text`."""
        self.wait_for(lambda: text in self.output(), seconds, f"{text!r} in the output")

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens if the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def wait(self, seconds: float = STOP_TIMEOUT) -> int:
        """Wait for the end and return the exit status. Raises TimeoutError."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            msg = f"{self} still runs after {seconds:g} s\n{self.output()}"
            raise TimeoutError(msg) from None

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = STOP_TIMEOUT) -> int:
        """End the process, frozen or not, killing it after `seconds`; return the exit status."""
        self.send_signal(number)
        self.send_signal(signal.SIGCONT)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        """Send SIGKILL and return the exit status."""
        self.send_signal(signal.SIGKILL)
        return self._process.wait()

    def freeze(self) -> None:
        """Send SIGSTOP and return once the process has stopped."""
        self.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let a frozen process go on."""
        self.send_signal(signal.SIGCONT)

    def __str__(self) -> str:
        return f"{Path(self._command[0]).name} (pid {self.pid})"
