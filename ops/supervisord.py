"""`python -m ops.supervisord`: supervisord in the foreground of a terminal that may be closed.

By itself supervisord takes SIGHUP for "start everything anew", and ends without its programs
as soon as it cannot write a line: the worker would live on, and nobody could see or stop it.
"""

from __future__ import annotations

import importlib
import os
import signal
from types import FrameType
from typing import Any

from ops import standard_streams


def main() -> None:
    """Become supervisord. SIGHUP stops everything; under `nohup` it does nothing."""
    standard_streams.open_missing(for_children=True)
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    # By name: manage.py itself needs no package, and this program runs with those of Hawser.
    options: Any = importlib.import_module("supervisor.options")
    loggers: Any = importlib.import_module("supervisor.loggers")
    program: Any = importlib.import_module("supervisor.supervisord")
    set_signals = options.ServerOptions.setsignals

    def set_signals_and_hangup(self: Any) -> None:
        set_signals(self)
        if is_ignored:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            return

        def hang_up(_number: int, frame: FrameType | None) -> None:
            leave_the_terminal()
            self.signal_receiver.receive(signal.SIGTERM, frame)

        signal.signal(signal.SIGHUP, hang_up)

    options.ServerOptions.setsignals = set_signals_and_hangup
    # A line that cannot be written is no reason to leave the programs alone.
    loggers.Handler.handleError = lambda _self: None
    program.main()


def leave_the_terminal() -> None:
    """Stop reading from and writing to a terminal that is closed."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        if os.isatty(standard) or _is_hung_up(standard):
            os.dup2(nowhere, standard)
    os.close(nowhere)


def _is_hung_up(descriptor: int) -> bool:
    """Return whether a descriptor leads to a terminal that is gone."""
    try:
        os.write(descriptor, b"")
    except OSError:
        return True
    return False


if __name__ == "__main__":
    main()
