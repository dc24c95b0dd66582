"""Work that comes in bursts, done a little in each turn of the asyncio loop."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from mqttworker.adapters.hub_loop import HubLoop

Work = Callable[[], object]

#: Pieces of work done in one turn; between two turns everything else has its chance. More
#: connects at once than a broker's listen backlog (often 100) would lose SYNs, and a second.
PER_TURN = 64


#: Longest time for which patient work waits for tries to end, seconds.
PATIENCE = 0.5


class Turns:
    """Two queues: what is urgent goes before what can wait for the end of a burst."""

    def __init__(self, hub_loop: HubLoop) -> None:
        self._hub_loop = hub_loop
        self._urgent: deque[Work] = deque()
        #: Work with the moment at which its patience ends, in monotonic seconds.
        self._patient: deque[tuple[float, Work]] = deque()
        #: Tries that wait for their broker.
        self._tries = 0
        self._is_turning = False
        self._alarm: asyncio.TimerHandle | None = None

    def urgently(self, work: Work) -> None:
        """Do `work` in the loop soon. Callable on any greenlet."""
        self._urgent.append(work)
        self._begin()

    def patiently(self, work: Work) -> None:
        """Do `work` in the loop when nothing urgent is left and no try is under way.

        A broker that is busy with us answers the CONNECTs first. After PATIENCE it is
        done in any case: one silent broker must not hold up the others.
        """
        self._patient.append((time.monotonic() + PATIENCE, work))
        self._begin()

    def try_began(self) -> None:
        """Take note of a try."""
        self._tries += 1

    def try_ended(self) -> None:
        """Take note that a try has ended, one way or the other."""
        self._tries -= 1
        if self._tries:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._patient:
            self._begin()

    def _begin(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            self._hub_loop.call(self._turn)

    def _turn(self) -> None:
        for _ in range(PER_TURN):
            work = self._next()
            if work is None:
                self._is_turning = False
                return
            _do(work)
        asyncio.get_running_loop().call_soon(self._turn)

    def _next(self) -> Work | None:
        if self._urgent:
            return self._urgent.popleft()
        if not self._patient:
            return None
        left = self._patient[0][0] - time.monotonic()
        if self._tries and left > 0:
            self._wake_in(left)
            return None
        return self._patient.popleft()[1]

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is None:
            self._alarm = asyncio.get_running_loop().call_later(seconds, self._wake)

    def _wake(self) -> None:
        self._alarm = None
        if self._patient:
            self._begin()


def _do(work: Work) -> None:
    """Do one piece; what goes wrong in it must not hold up the connects of all others."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever it is, the next piece has its turn
        asyncio.get_running_loop().call_exception_handler(
            {"message": "a piece of work failed", "exception": error}
        )
