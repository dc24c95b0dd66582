"""One asyncio loop inside one greenlet of the main hub: greenlets and MQTT share a thread.

Nothing is monkey-patched: with `patch_all`, asyncio's name look-ups hang on recent
Pythons (gevent issue 2213).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import gevent
from gevent import monkey

from mqttworker.adapters.hub_selector import HubSelector

#: Most threads for name look-ups, made as they are needed. A resolver that hangs keeps
#: one a name for up to 30 s, and dead names must not starve the others.
RESOLVER_THREADS = 512


class HubLoop:
    """Runs the asyncio loop until `stop`; for `on_wake` see `HubSelector`."""

    def __init__(self, on_wake: Callable[[], object] = lambda: None) -> None:
        assert not monkey.is_module_patched("threading"), "the worker must not be patched"
        self.loop = asyncio.SelectorEventLoop(HubSelector(on_wake))
        self.loop.set_default_executor(ThreadPoolExecutor(RESOLVER_THREADS, "resolver"))
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def start(self) -> gevent.Greenlet[..., None]:
        """Begin to run; the greenlet ends only by `stop` or by an error."""
        self._greenlet = gevent.spawn(self._run)
        self._greenlet.name = "asyncio"
        return self._greenlet

    def call(self, function: Callable[..., Any], *args: Any) -> None:
        """Run `function` in the loop soon. The only way from a greenlet into asyncio.

        A plain `call_soon` would not wake a loop that sleeps in its selector.
        """
        self.loop.call_soon_threadsafe(function, *args)

    def stop(self) -> None:
        """End the loop and wait for its greenlet."""
        self.call(self.loop.stop)
        if self._greenlet is not None:
            self._greenlet.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            asyncio.set_event_loop(None)
