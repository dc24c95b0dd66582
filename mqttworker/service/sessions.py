"""The sessions of one connection, one at a time, and the inbox for what they report."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from gevent.queue import Empty, SimpleQueue

from mqttworker.core import events
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import Receive, Session, Transport

#: How long `offline` may wait for its PUBACK, seconds. Without it the will says the same.
CLOSE_GRACE = 0.6


class Sessions:
    """Opens and ends them; `hear` hears of a report before it is read, in the loop."""

    __slots__ = ("_generation", "_hear", "_inbox", "_transport", "present")

    def __init__(self, transport: Transport, hear: Callable[[events.Event], object]) -> None:
        self.present: Session | None = None
        self._transport = transport
        self._hear = hear
        #: Tells reports of the present session from late ones of an earlier session.
        self._generation = 0
        self._inbox: SimpleQueue[tuple[int | None, events.Event]] = SimpleQueue()

    @property
    def is_open(self) -> bool:
        """Whether the present session is up and its socket stands."""
        return self.present is not None and self.present.is_open

    def open(
        self,
        spec: ConnectionSpec,
        protocol: str,
        receive: Receive,
        watch: tuple[str, ...],
        receipts: Receipts,
    ) -> None:
        """Begin a session; see `ports.transport.Transport`."""
        self._generation += 1
        report = partial(self._report, self._generation)
        self.present = self._transport.open(
            spec, protocol, report, receive, watch=watch, receipts=receipts
        )

    def close(self) -> None:
        """Say goodbye to the broker; the session reports when it is gone."""
        if self.present is not None:
            self.present.close(CLOSE_GRACE)

    def abort(self) -> None:
        """Drop the socket at once."""
        if self.present is not None:
            self.present.abort()

    def drop(self) -> None:
        """Drop the socket and have nothing to do with the session any more."""
        if self.present is not None:
            self._generation += 1
            self.present.abort()
            self.present = None

    def post(self, event: events.Event) -> None:
        """Put `event` in the inbox, after what is there."""
        self._inbox.put((None, event))

    def next_event(self, timeout: float | None) -> events.Event | None:
        """Return what is next in the inbox, None if there was nothing within `timeout` seconds.

        What a session reported that is gone comes as Due: only to look at the time again.
        """
        try:
            generation, event = self._inbox.get(timeout=timeout)
        except Empty:
            return None
        is_late = generation is not None and generation != self._generation
        return events.Due() if is_late else event

    def forget(self) -> None:
        """Empty the inbox."""
        self._inbox = SimpleQueue()

    def _report(self, generation: int, event: events.Event) -> None:
        if generation == self._generation:
            self._hear(event)
        self._inbox.put((generation, event))
