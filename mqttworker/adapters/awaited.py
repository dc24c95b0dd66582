"""What a session sleeps for: the broker's next answer, or the news that there is none."""

from __future__ import annotations

import asyncio

from mqttworker.core.cause import Cause


class SessionEndedError(Exception):
    """The try is over; `why` says what ended it."""

    def __init__(self, why: Cause) -> None:
        super().__init__(why.code)
        self.why = why


class Awaited:
    """The answer that the present phase of a session waits for."""

    def __init__(self) -> None:
        #: Why the try or the farewell cannot go on, also if that came out while nobody waited.
        self.ended: Cause | None = None
        self._answer: asyncio.Future[None] | None = None

    async def wait(self) -> None:
        """Sleep until `came`. Raises SessionEndedError as soon as `end` was called."""
        if self.ended is not None:
            raise SessionEndedError(self.ended)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            await self._answer
        finally:
            self._answer = None

    def came(self) -> None:
        """Wake who waits: the answer is here."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def end(self, why: Cause) -> None:
        """Wake who waits, now or later, with `why`; only the first reason counts."""
        self.ended = self.ended or why
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(SessionEndedError(self.ended))
