"""SIGTERM and SIGINT: the first asks, the second insists. SIGCONT: look whether it is too late."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import gevent

#: The signals by which supervisord, containers and people stop a process.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def on_stop_signal(ask: Callable[[], object]) -> None:
    """Call `ask` at the first stop signal and end the process at once at the second."""
    seen = [False]

    def handle() -> None:
        if seen[0]:
            os._exit(1)
        seen[0] = True
        ask()

    for number in STOP_SIGNALS:
        gevent.signal_handler(number, handle)


def on_continue(look: Callable[[], object]) -> None:
    """Call `look` when the process goes on after SIGSTOP, before the hub does anything.

    Python runs a handler of its own before the next function, whatever woke the hub; one of
    gevent's would wait for its turn among the sockets that became ready meanwhile.
    """
    signal.signal(signal.SIGCONT, lambda _number, _frame: look())
