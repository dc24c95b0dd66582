"""Lets an asyncio loop sleep as a greenlet: its whole epoll set is one watcher of the hub.

gevent's own selector keeps a watcher for each socket and starts and stops it at every
event; an epoll set can be watched itself, which costs the same for one socket and for
ten thousand.
"""

from __future__ import annotations

import select
import selectors
from collections.abc import Callable
from typing import Any

import gevent
from gevent.hub import get_hub

_READABLE = 1
#: Sockets that are served before other greenlets have their turn. A thousand TLS handshakes
#: at once would take seconds; the kernel names those that were left out first next time.
MOST_EVENTS = 32


class HubSelector(selectors.DefaultSelector):
    """The platform's selector, waiting in the hub instead of in the kernel.

    `on_wake` is called after each sleep, before anything is made of what woke the loop.
    """

    def __init__(self, on_wake: Callable[[], object] = lambda: None) -> None:
        super().__init__()
        self._epoll: select.epoll = self._selector  # type: ignore[attr-defined]
        self._on_wake = on_wake
        self._watcher: Any = get_hub().loop.io(self.fileno(), _READABLE)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Return what is ready, after at most `timeout` seconds; other greenlets run meanwhile."""
        if timeout is None or timeout > 0:
            self._sleep(timeout)
        else:
            # Not `yield_to_hub`: in a storm of connects timers that are in time while sockets
            # are late would end tries that are about to succeed.
            gevent.sleep(0)
        self._on_wake()
        return self._ready()

    def _ready(self) -> list[tuple[selectors.SelectorKey, int]]:
        """Return up to MOST_EVENTS sockets that are ready; the base class has no such bound."""
        keys = self.get_map()
        found = []
        for descriptor, event in self._epoll.poll(0, MOST_EVENTS):
            if key := keys.get(descriptor):
                read = selectors.EVENT_READ if event & ~select.EPOLLOUT else 0
                write = selectors.EVENT_WRITE if event & ~select.EPOLLIN else 0
                found.append((key, (read | write) & key.events))
        return found

    def close(self) -> None:
        """Release the watcher and the epoll set."""
        self._watcher.stop()
        self._watcher.close()
        super().close()

    def _sleep(self, timeout: float | None) -> None:
        """Switch to the hub until a socket is ready or `timeout` seconds have passed."""
        limit = gevent.Timeout.start_new(timeout)
        try:
            get_hub().wait(self._watcher)
        except gevent.Timeout as over:
            if over is not limit:
                raise
        finally:
            limit.close()
