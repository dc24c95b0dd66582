"""Tells connections and monitoring when received messages cannot be stored."""

from __future__ import annotations

from mqttworker.core import events
from mqttworker.core.cause import Cause, cause
from mqttworker.ports.journal import Waiting
from mqttworker.ports.transport import Session
from mqttworker.service.context import Clock
from mqttworker.service.inflow import Inflow
from mqttworker.service.intake import Intake
from mqttworker.service.threads import in_turns

#: Time between two looks, seconds.
WATCH_INTERVAL = 0.5
#: A message that has waited for longer shows that the database does not keep up, seconds.
PATIENCE = 3.0
#: It keeps up again when none has waited for longer than this, seconds: one that is just too
#: slow must not get a change of state a second from every connection on top.
RELIEF = 1.0
#: Connections told before others have their turn.
TURN = 500

NOT_STORED = "messages_not_stored"


class IntakeWatch:
    """Looks at the intake now and then."""

    def __init__(self, intake: Intake, clock: Clock) -> None:
        self._intake = intake
        self._clock = clock
        #: What is told of the present trouble: its first word, so that nobody hears of each.
        self._trouble: Cause | None = None
        #: Whose messages wait or waited meanwhile, and the last session that heard of it.
        self._told: dict[Inflow, Session | None] = {}

    def look(self) -> None:
        """Tell the connections whose messages wait, and those whose wait is over."""
        problem = self._problem()
        if problem is None:
            self._end_trouble()
            return
        self._trouble = self._trouble or cause(NOT_STORED, problem=problem)
        for inflow in self._intake.waiting_inflows - self._told.keys():
            self._told[inflow] = None
        for inflow, told in in_turns(list(self._told.items()), TURN):
            session = inflow.open_session
            # Once a session: what is wrong with one ends with it, this does not.
            if session is not None and session is not told:
                self._told[inflow] = session
                inflow.post(events.Impaired(self._trouble))

    def _end_trouble(self) -> None:
        told, self._told, self._trouble = self._told, {}, None
        for inflow in in_turns(told, TURN):
            inflow.post(events.Recovered(cause("messages_stored_again")))

    def waiting(self) -> Waiting:
        """Return what waits, and why, for the heartbeat."""
        load, oldest_at = self._intake.load, self._intake.oldest_at
        since = None if oldest_at is None else self._clock.wall(oldest_at)
        problem = None if self._problem() is None else NOT_STORED
        return Waiting(load.messages, load.bytes, since, problem)

    def _problem(self) -> str | None:
        """Return why messages wait, None while they are stored as they come."""
        if self._intake.failure is not None:
            return self._intake.failure
        oldest_at = self._intake.oldest_at
        longest = PATIENCE if self._trouble is None else RELIEF
        if oldest_at is None or self._clock.now() - oldest_at < longest:
            return None
        return "the database is too slow"
