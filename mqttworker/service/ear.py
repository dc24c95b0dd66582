"""Hears what the sessions of a test report, and waits for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from gevent.event import Event as Signal

from mqttworker.core.cause import Cause
from mqttworker.core.events import Closed, Event, Failed, Lost, Opened
from mqttworker.core.messages import InboundMessage
from mqttworker.ports.transport import Report
from mqttworker.service.context import Clock


class Ear:
    """What came from each session, by the name that the session was given."""

    def __init__(self, clock: Clock, token: str) -> None:
        self._clock = clock
        self._token = token.encode()
        self._news = Signal()
        self.opened: dict[str, Opened] = {}
        #: Why a session failed, or was lost.
        self.ended: dict[str, Cause] = {}
        self.closed: set[str] = set()
        #: What became of each PUBLISH.
        self.answers: list[Cause | None] = []
        #: When a message of the test first came, by topic.
        self.came_at: dict[str, float] = {}
        #: Why the test must stop: it has ended the session of a connection.
        self.stopped_by: Cause | None = None
        #: No wait goes on after this; monotonic seconds.
        self.end_by = float("inf")

    @property
    def time_left(self) -> float:
        """Seconds until `end_by`."""
        return max(0.0, self.end_by - self._clock.now())

    def until(self, condition: Callable[[], object], seconds: float) -> bool:
        """Wait until `condition()`, looked at whenever something is heard; False if it is not."""
        deadline = self._clock.now() + min(seconds, self.time_left)
        while not condition():
            self._news.clear()
            if not self._news.wait(max(0.0, deadline - self._clock.now())):
                return False
        return True

    # --- given to the sessions: only take note, never block

    def report(self, name: str) -> Report:
        """Return what hears the events of the session `name`."""
        return partial(self._take_event, name)

    def _take_event(self, name: str, event: Event) -> None:
        if isinstance(event, Opened):
            self.opened[name] = event
        elif isinstance(event, Failed | Lost):
            self.ended[name] = event.why
        elif isinstance(event, Closed):
            self.closed.add(name)
        self._news.set()

    def stop(self, why: Cause) -> None:
        """Do nothing more."""
        self.stopped_by = self.stopped_by or why
        self._news.set()

    def answer(self, refused: Cause | None) -> None:
        """Hear what became of a PUBLISH."""
        self.answers.append(refused)
        self._news.set()

    def receive(self, messages: Sequence[InboundMessage]) -> Sequence[InboundMessage]:
        """Hear messages; only those of the test count, and none is kept."""
        for message in messages:
            if message.payload == self._token:
                self.came_at.setdefault(message.topic, self._clock.now())
                self._news.set()
        return messages
