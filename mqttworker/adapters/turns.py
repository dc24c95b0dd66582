"""Work that comes in bursts, done a little in each turn of the asyncio loop."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from mqttworker.adapters.hub_loop import HubLoop

Work = Callable[[], object]

#: Pieces of work done in one turn; between two turns everything else has its chance. More
#: connects at once than a broker's listen backlog (often 100) would lose SYNs, and a second.
PER_TURN = 64


class Turns:
    """Two queues: what is urgent goes before what can wait for the end of a burst."""

    def __init__(self, hub_loop: HubLoop) -> None:
        self._hub_loop = hub_loop
        self._urgent: deque[Work] = deque()
        self._patient: deque[Work] = deque()
        self._is_turning = False

    def urgently(self, work: Work) -> None:
        """Do `work` in the loop soon. It must not raise. Callable on any greenlet."""
        self._urgent.append(work)
        self._begin()

    def patiently(self, work: Work) -> None:
        """Do `work` in the loop as soon as nothing urgent is left."""
        self._patient.append(work)
        self._begin()

    def _begin(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            self._hub_loop.call(self._turn)

    def _turn(self) -> None:
        for _ in range(PER_TURN):
            queue = self._urgent or self._patient
            if not queue:
                self._is_turning = False
                return
            queue.popleft()()
        asyncio.get_running_loop().call_soon(self._turn)
