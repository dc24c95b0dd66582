"""One greenlet for each record: it feeds the life of the connection and does what it asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

import gevent
from gevent.queue import Empty, SimpleQueue

from database.words import WAITING_STATES, ConnectionState
from mqttworker.core import events, verdicts
from mqttworker.core.cause import Cause, cause
from mqttworker.core.life import Life, step
from mqttworker.core.spec import Record
from mqttworker.ports.journal import Status, Traffic
from mqttworker.ports.transport import InboundMessage, Session
from mqttworker.service.chronicle import Chronicle
from mqttworker.service.context import Context
from mqttworker.service.pause import Pause
from mqttworker.service.upkeep import Upkeep

#: How long `offline` may wait for its PUBACK, seconds. Without it the will says the same.
CLOSE_GRACE = 0.6
#: Wait before the lease is asked for again, seconds.
LEASE_RETRY = 0.25
#: The next try is written down anew when its moment moved by this much, seconds.
WORTH_TELLING = 1.0
#: A state that is this much past its deadline has a greenlet that does not move, seconds.
OVERDUE = 5.0


class MQTTConnectionManager:
    """Owns the life of one connection, from the first try to the last DISCONNECT."""

    __slots__ = (
        "_chronicle",
        "_context",
        "_generation",
        "_inbox",
        "_last_message_at",
        "_life",
        "_next_record",
        "_on_over",
        "_pause",
        "_session",
        "_start_why",
        "_stopped_by",
        "_upkeep",
        "bytes_in",
        "greenlet",
        "messages_in",
        "record",
    )

    def __init__(
        self,
        record: Record,
        context: Context,
        on_over: Callable[[MQTTConnectionManager], None],
        tried_at: float = float("-inf"),
    ) -> None:
        self.record = record
        self.messages_in = 0
        self.bytes_in = 0
        self.greenlet: gevent.Greenlet[..., None] | None = None
        self._last_message_at: datetime | None = None
        self._context = context
        self._on_over = on_over
        self._next_record: Record | None = None
        #: Why there is no life after this one, None while the record is wanted.
        self._stopped_by: Cause | None = None
        self._pause: Pause | None = None
        self._life = _new_life(record, tried_at)
        self._inbox: SimpleQueue[tuple[int | None, events.Event]] = SimpleQueue()
        self._session: Session | None = None
        #: Tells reports of the present session from late ones of an earlier session.
        self._generation = 0
        self._start_why = cause("enabled")
        self._chronicle = Chronicle(context.clock)
        self._upkeep = Upkeep(record.name, context.me, context.clock, self.post)

    # --- what others may ask

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._life.state

    @property
    def is_up(self) -> bool:
        """Whether a session exists."""
        return self._life.is_up

    @property
    def tried_at(self) -> float:
        """The last moment at which a CONNECT may have been on its way, monotonic seconds."""
        return self._life.tried_at

    def start(self, why: Cause) -> None:
        """Begin the life; `why` is shown until the first answer of the broker."""
        self._start_why = why
        self.greenlet = gevent.spawn(self._run)
        self.greenlet.name = f"connection[{self.record.name}]"

    def stop(self, why: Cause) -> None:
        """End the life: `offline`, DISCONNECT, over."""
        self._next_record, self._stopped_by = None, why
        if self._pause is not None:
            self._pause.stop(why)
        self.post(events.Stop(why))

    def update(self, record: Record) -> None:
        """Stop the present session and live on as `record`."""
        self._next_record, self._stopped_by = record, None
        if self._pause is None:
            self.post(events.Stop(cause("config_changed")))

    def pause(self, why: Cause) -> Pause:
        """Stop the present session; live on when the pause that is returned is over."""
        self._pause = Pause(why)
        if self._stopped_by is not None:
            # It is leaving for good, and must not come back because of a pause.
            self._pause.stop(self._stopped_by)
            return self._pause
        self._next_record = self._next_record or self.record
        self.post(events.Stop(why))
        return self._pause

    def touch(self, record: Record) -> None:
        """Take note of an edit that needs no reconnect."""
        self.record = record
        if self._pause is not None:
            self._next_record = record
        self._note(None)

    def post(self, event: events.Event) -> None:
        """Let the greenlet handle `event` soon."""
        self._inbox.put((None, event))

    def abort(self) -> None:
        """Drop the socket at once; for a worker that must not say goodbye."""
        if self._session is not None:
            self._session.abort()

    def check(self, now: float) -> None:
        """Free a connection that nothing else would move; called by the monitor."""
        life = self._life
        if life.is_up and (self._session is None or not self._session.is_open):
            self.post(events.Lost(cause("peer_closed")))
        elif life.due_at is not None and now > life.due_at + OVERDUE:
            self.post(events.Due())

    def traffic(self) -> Traffic:
        """Return what came in since the worker started."""
        return Traffic(
            messages_in=self.messages_in,
            bytes_in=self.bytes_in,
            last_message_at=self._last_message_at,
            round_trip_ms=self._upkeep.round_trip_ms,
        )

    # --- the greenlet

    def _run(self) -> None:
        self._handle(events.Start(self._start_why, self.record.flaw))
        while True:
            while not self._life.is_over:
                self._handle(self._next_event())
            why = self._sit_out_pause()
            if self._next_record is None:
                break
            self._begin_again(self._next_record, why)
        self._on_over(self)

    def _sit_out_pause(self) -> Cause:
        """Return why the life goes on that may follow."""
        if self._pause is None:
            return cause("config_changed")
        self._pause.rests.set()
        self._pause.is_over.wait()
        while self._pause.stopped_by is None and not self._context.may_connect():
            gevent.sleep(LEASE_RETRY)
        pause, self._pause = self._pause, None
        stopped_by = pause.stopped_by
        if stopped_by is not None and self._next_record is None and stopped_by != self._life.why:
            # What it stopped for is not why it ends.
            self._life = _new_life(self.record, self._life.tried_at)
            self._handle(events.Stop(stopped_by))
        return pause.why

    def _begin_again(self, record: Record, why: Cause) -> None:
        self.record, self._next_record = record, None
        # What was meant for the life before, a second Stop for example, must not end this one.
        self._inbox = SimpleQueue()
        self._life = _new_life(record, self._life.tried_at)
        self._chronicle = Chronicle(self._context.clock)
        self._upkeep = Upkeep(record.name, self._context.me, self._context.clock, self.post)
        self._handle(events.Start(why, record.flaw))

    def _next_event(self) -> events.Event:
        try:
            generation, event = self._inbox.get(timeout=self._until_due())
        except Empty:
            return self._when_due()
        is_late = generation is not None and generation != self._generation
        if is_late or isinstance(event, events.Due):
            # Of a session that is gone, or only to look at the time again.
            return self._when_due() if self._until_due() == 0 else events.Due()
        if isinstance(event, events.Lost):
            return self._judged(event)
        if isinstance(event, events.Greeted):
            self._upkeep.greeted()
        return event

    def _until_due(self) -> float | None:
        moments = [at for at in (self._life.due_at, self._upkeep.due_at) if at is not None]
        return max(0.0, min(moments) - self._context.clock.now()) if moments else None

    def _when_due(self) -> events.Event:
        """Return Due, or Postponed while the lease or the limiter does not allow a try."""
        now = self._context.clock.now()
        if self._life.is_up:
            return self._upkeep.tick(now)
        if self._life.state in WAITING_STATES:
            until = self._earliest_try(now)
            if until > now:
                return events.Postponed(until)
        return events.Due()

    def _earliest_try(self, now: float) -> float:
        if not self._context.may_connect():
            return now + LEASE_RETRY
        spec = self.record.spec
        return now if spec is None else self._context.fleet.earliest_try(spec, now)

    def _judged(self, event: events.Lost) -> events.Event:
        spec = self.record.spec
        if spec is None or not verdicts.is_suspicious(event):
            return event
        alone = self._context.fleet.is_alone(spec)
        return replace(event, alone=alone, door_open=self._context.doors.is_open(spec))

    def _handle(self, event: events.Event) -> None:
        before = self._life
        now, draw = self._context.clock.now(), self._context.draw()
        self._life, commands = step(before, event, now, draw)
        is_shared = self._follow(before, event)
        for command in commands:
            self._do(command)
        if self._life.state is not before.state or self._life.why is not before.why:
            self._note(before, is_shared=is_shared)
        elif _is_moved(before.next_attempt_at, self._life.next_attempt_at):
            self._note(None)

    def _follow(self, before: Life, event: events.Event) -> bool:
        """Let the others know what became of it; return whether it is told once for all."""
        session = self._session
        if isinstance(event, events.Opened) and not before.is_up and self._life.is_up and session:
            self._chronicle.protocol = event.protocol
            self._chronicle.terms = session.terms
            self._upkeep.begin(session)
        elif before.is_up and not self._life.is_up:
            lost = event if isinstance(event, events.Lost) else None
            self._upkeep.end(
                thrown_out=lost is not None and verdicts.is_suspicious(lost),
                forbidden=lost is not None and lost.why.code in verdicts.REFUSALS,
            )
        self._chronicle.follow(before, self._life)
        spec = self.record.spec
        return spec is not None and self._context.fleet.follow(
            self, spec, (before, self._life), event
        )

    def _do(self, command: events.Command) -> None:
        if isinstance(command, events.Open):
            self._open(command.protocol)
        elif self._session is not None and isinstance(command, events.Close):
            self._session.close(CLOSE_GRACE)
        elif self._session is not None:
            self._generation += 1
            self._session.abort()
            self._session = None

    def _open(self, protocol: str) -> None:
        spec = self.record.spec
        assert spec is not None, "a flawed record is never opened"
        self._generation += 1
        report = partial(self._report, self._generation)
        self._session = self._context.transport.open(
            spec, protocol, report, self._receive, watch=self._upkeep.watch(spec)
        )

    # --- called by the session, in the loop: only take note, never block

    def _report(self, generation: int, event: events.Event) -> None:
        spec = self.record.spec
        if isinstance(event, events.Lost) and spec is not None and generation == self._generation:
            self._context.fleet.hear_of_loss(spec)
        self._inbox.put((generation, event))

    def _receive(self, message: InboundMessage) -> None:
        if self._upkeep.take(message):
            return
        self.messages_in += 1
        self.bytes_in += len(message.payload)
        self._last_message_at = self._context.clock.wall()

    # --- what is written down

    def _note(self, before: Life | None, *, is_shared: bool = False) -> None:
        transition = None
        if before is not None:
            transition = self._chronicle.transition(
                self.record, before, self._life, is_shared=is_shared
            )
        self._context.journal.note(self, transition)

    def status(self) -> Status:
        """Return the whole state as it is now, to be written down."""
        return self._chronicle.status(self.record, self._life, self.traffic())


def _is_moved(before: float | None, after: float | None) -> bool:
    """Whether the next try is at another moment now, by more than anybody would overlook."""
    return before is not None and after is not None and abs(after - before) >= WORTH_TELLING


def _new_life(record: Record, tried_at: float) -> Life:
    spec = record.spec
    if spec is None:
        return Life("auto", 0.0, tried_at=tried_at)
    return Life(spec.protocol, spec.connect_timeout_s, tried_at=tried_at)
