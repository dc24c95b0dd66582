"""One greenlet for each record: it feeds the life of the connection and does what it asks."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace

import gevent

from database.words import WAITING_STATES, ConnectionState, Protocol
from mqttworker.core import events, verdicts
from mqttworker.core.cause import Cause, cause
from mqttworker.core.fallback import Fallback, fingerprint
from mqttworker.core.life import Life, step
from mqttworker.core.messages import InboundMessage
from mqttworker.core.probe import probe_id
from mqttworker.core.receipts import Receipts
from mqttworker.core.shared_login import TAKEOVER_CODES
from mqttworker.core.spec import Record
from mqttworker.core.takeover import with_other_client_id
from mqttworker.ports.journal import Status, Traffic
from mqttworker.ports.transport import Session
from mqttworker.service.chronicle import Chronicle
from mqttworker.service.context import Context
from mqttworker.service.inflow import Inflow
from mqttworker.service.pause import Pause
from mqttworker.service.sequel import Sequel
from mqttworker.service.sessions import Sessions
from mqttworker.service.tally import Tally
from mqttworker.service.upkeep import Upkeep

#: The next try is written down anew when its moment moved by this much, seconds.
WORTH_TELLING = 1.0
#: A state that is this much past its deadline has a greenlet that does not move, seconds.
OVERDUE = 5.0


class MQTTConnectionManager:
    """Owns the life of one connection, from the first try to the last DISCONNECT."""

    __slots__ = (
        "_chronicle",
        "_context",
        "_inflow",
        "_life",
        "_on_over",
        "_sequel",
        "_sessions",
        "_start_why",
        "_tally",
        "_upkeep",
        "greenlet",
        "record",
    )

    def __init__(
        self,
        record: Record,
        context: Context,
        on_over: Callable[[MQTTConnectionManager], None],
        tried_at: float = float("-inf"),
        fallback: Fallback | None = None,
    ) -> None:
        self.record = record
        self.greenlet: gevent.Greenlet[..., None] | None = None
        self._context = context
        self._on_over = on_over
        self._sequel = Sequel()
        self._chronicle = Chronicle(context.clock, fallback)
        self._life = self._new_life(record, tried_at)
        self._sessions = Sessions(context.transport, self._hear)
        self._start_why = cause("enabled")
        self._tally = Tally(record, context.clock, context.moved)
        self._inflow = Inflow(record.connection_id, self._tally, self, context.intake)
        self._upkeep = Upkeep(record.name, context.me, context.clock, self.post)

    # --- what others may ask

    @property
    def name(self) -> str:
        """How people know the connection."""
        return self.record.name

    @property
    def state(self) -> ConnectionState:
        """Where the connection stands."""
        return self._life.state

    @property
    def is_up(self) -> bool:
        """Whether a session exists."""
        return self._life.is_up

    @property
    def session(self) -> Session | None:
        """The present session, up or not."""
        return self._sessions.present

    @property
    def tried_at(self) -> float:
        """The last moment at which a CONNECT may have been on its way, monotonic seconds."""
        return self._life.tried_at

    @property
    def fallback(self) -> Fallback | None:
        """The broker that `auto` found to want MQTT 3.1.1."""
        return self._chronicle.fallback

    def start(self, why: Cause) -> None:
        """Begin the life; `why` is shown until the first answer of the broker."""
        self._start_why = why
        self.greenlet = gevent.spawn(self._run)
        self.greenlet.name = f"connection[{self.record.name}]"

    def stop(self, why: Cause) -> None:
        """End the life: `offline`, DISCONNECT, over."""
        self._sequel.stop(why)
        self.post(events.Stop(why))

    def update(self, record: Record) -> None:
        """Stop the present session and live on as `record`."""
        self._sequel.update(record)
        if self._sequel.pause is None:
            self.post(events.Stop(cause("config_changed")))

    def pause(self, why: Cause) -> Pause:
        """Stop the present session; live on when the pause that is returned is over."""
        pause = self._sequel.begin_pause(why, self.record)
        if pause.stopped_by is None:
            self.post(events.Stop(why))
        return pause

    def touch(self, record: Record) -> None:
        """Take note of an edit that needs no reconnect."""
        self._sequel.touch(record)
        if record.same_connection(self.record):
            # Otherwise an edit before it is still being applied, and it counts after that.
            self.record = record
            self._tally.follow(record)
            self._note(None)

    def post(self, event: events.Event) -> None:
        """Let the greenlet handle `event` soon."""
        self._sessions.post(event)

    def give_way(self, why: Cause) -> None:
        """Leave the broker to another connection whose session this one has ended."""
        self.post(events.RivalNamed(why))

    def abort(self) -> None:
        """Drop the socket at once; for a worker that must not say goodbye."""
        self._sessions.abort()

    def check(self, now: float) -> None:
        """Free a connection that nothing else would move; called by the monitor."""
        life = self._life
        if life.is_up and not self._sessions.is_open:
            self.post(events.Lost(cause("peer_closed")))
        elif life.due_at is not None and now > life.due_at + OVERDUE:
            self.post(events.Due())

    def listen(self) -> None:
        """Notice which expected messages have not come; called once a second."""
        self._tally.note_round_trip(self._upkeep.round_trip_ms)
        session_at = self._life.connected_at if self._life.is_up else None
        if event := self._tally.listen(session_at, self._context.clock.now()):
            self.post(event)

    def traffic(self) -> Traffic:
        """Return what was carried since the worker started."""
        self._tally.note_round_trip(self._upkeep.round_trip_ms)
        return self._tally.traffic()

    def sent(self, topic: str, size: int) -> None:
        """Count a message that was published for an operator, with a payload of `size` bytes."""
        self._tally.sent(topic, size)

    # --- the greenlet

    def _run(self) -> None:
        self._handle(events.Start(self._start_why, self.record.flaw))
        while True:
            while not self._life.is_over:
                self._handle(self._next_event())
            why = self._sit_out_pause()
            if self._sequel.record is None:
                break
            self._begin_again(self._sequel.record, why)
        self._on_over(self)

    def _sit_out_pause(self) -> Cause:
        """Return why the life goes on that may follow."""
        pause = self._sequel.sit_out_pause(self._context.may_connect)
        if pause is None:
            return cause("config_changed")
        stopped_by = pause.stopped_by
        if stopped_by is not None and self._sequel.record is None and stopped_by != self._life.why:
            # What it stopped for is not why it ends.
            self._life = self._new_life(self.record, self._life.tried_at)
            self._handle(events.Stop(stopped_by))
        return pause.why

    def _begin_again(self, record: Record, why: Cause) -> None:
        self.record, self._sequel.record = record, None
        self._tally.follow(record)
        # What was meant for the life before, a second Stop for example, must not end this one.
        self._sessions.forget()
        self._chronicle = Chronicle(self._context.clock, self._chronicle.fallback)
        self._life = self._new_life(record, self._life.tried_at)
        self._upkeep = Upkeep(record.name, self._context.me, self._context.clock, self.post)
        self._handle(events.Start(why, record.flaw))

    def _new_life(self, record: Record, tried_at: float) -> Life:
        """Return a life that knows which MQTT version worked last at the same broker."""
        life, clock, known = _new_life(record, tried_at), self._context.clock, self.fallback
        if record.spec is None or known is None:
            return life
        if not known.is_for(record.spec):
            self._chronicle.fallback = None
        elif record.spec.protocol == Protocol.AUTO and not life.needs_mqtt_5:
            age = max(0.0, clock.wall().timestamp() - known.tried_5_at)
            tried_5_at = clock.now() - age
            return replace(life, fell_back=True, other_version_why=known.why, tried_5_at=tried_5_at)
        return life

    def _next_event(self) -> events.Event:
        event = self._sessions.next_event(timeout=self._until_due())
        if event is None:
            return self._when_due()
        if isinstance(event, events.Due):
            # Only to look at the time again.
            return self._when_due() if self._until_due() == 0 else event
        if isinstance(event, events.Lost):
            return self._judged(event)
        if isinstance(event, events.Failed):
            return events.Failed(self._taken_over(event.why) or event.why)
        if isinstance(event, events.Greeted):
            self._upkeep.greeted(event)
        elif isinstance(event, events.OwnTopicsRefused):
            self._upkeep.own_topics_refused(dict(event.topics))
        return event

    def _until_due(self) -> float | None:
        life = self._life
        awaited = (life.due_at, life.trial_ends_at, self._upkeep.due_at)
        moments = [at for at in awaited if at is not None]
        return max(0.0, min(moments) - self._context.clock.now()) if moments else None

    def _when_due(self) -> events.Event:
        """Return Due, or Postponed while the lease or the limiter does not allow a try."""
        now = self._context.clock.now()
        if self._life.is_up:
            trial_ends_at = self._life.trial_ends_at
            if trial_ends_at is not None and now >= trial_ends_at:
                return events.Outlived()
            return self._upkeep.tick(now, self._tally.deaf_at)
        if self._life.state in WAITING_STATES:
            until = self._earliest_try(now)
            if until > now:
                return events.Postponed(until)
        return events.Due()

    def _earliest_try(self, now: float) -> float:
        if self._life.state is ConnectionState.COOLDOWN:
            held_until = self._context.logins.earliest_try(self, now)
            if held_until > now:
                return held_until
        return self._context.earliest_try(self.record.spec, now)

    def _judged(self, event: events.Lost) -> events.Event:
        spec = self.record.spec
        if spec is not None and verdicts.is_suspicious(event):
            alone = self._context.fleet.is_alone(spec)
            event = replace(event, alone=alone, door_open=self._context.doors.is_open(spec))
        if not event.door_open:
            self._context.logins.broker_went(self)
            return event
        return replace(event, taken_over=self._taken_over(event.why))

    def _taken_over(self, why: Cause) -> Cause | None:
        """Return why another connection of ours ended the try or session, None if none did."""
        spec = self.record.spec
        if spec is None or why.code not in TAKEOVER_CODES:
            return None
        return self._context.logins.takeover(self, self._context.fleet.lost_beside(spec))

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
        session = self._sessions.present
        if isinstance(event, events.Opened) and not before.is_up and self._life.is_up and session:
            self._chronicle.protocol = event.protocol
            self._chronicle.fallback = self._fallback_found()
            self._chronicle.terms = session.terms
            self._upkeep.begin(session, event.refused_filters)
        elif before.is_up and not self._life.is_up:
            lost = event if isinstance(event, events.Lost) else None
            self._upkeep.end(
                thrown_out=lost is not None
                and lost.taken_over is None
                and verdicts.is_suspicious(lost),
                forbidden=lost is not None and lost.why.code in verdicts.REFUSALS,
            )
        self._chronicle.follow(before, self._life)
        spec = self.record.spec
        return spec is not None and self._context.fleet.follow(
            self, spec, (before, self._life), event
        )

    def _fallback_found(self) -> Fallback | None:
        """Return what the session that is up shows of the broker."""
        spec, why = self.record.spec, self._life.other_version_why
        if spec is None or not self._life.fell_back or why is None:
            return None
        tried_5_at = self._context.clock.wall(self._life.tried_5_at).timestamp()
        return Fallback(fingerprint(spec), tried_5_at, why)

    def _do(self, command: events.Command) -> None:
        if isinstance(command, events.Open):
            self._open(command)
        elif isinstance(command, events.Close):
            self._sessions.close()
        else:
            self._sessions.drop()
            self._context.logins.ended(self)

    def _open(self, command: events.Open) -> None:
        spec = self.record.spec
        assert spec is not None, "a flawed record is never opened"
        self._inflow.is_for(spec)
        spec = replace(spec, status_qos=min(spec.status_qos, command.will_qos))
        receipts, is_stand_in = self._inflow.receipts, command.with_other_client_id
        if is_stand_in:
            other_id = probe_id(spec.client_id, secrets.token_hex(3))
            spec, receipts = with_other_client_id(spec, other_id), Receipts()
        self._inflow.is_stand_in = is_stand_in
        self._context.logins.tries(self, spec)
        self._sessions.open(
            spec, command.protocol, self._inflow.receive, self._upkeep.watch(spec), receipts
        )

    # --- called by the session, in the loop: only take note, never block

    def _hear(self, event: events.Event) -> None:
        self._context.logins.hear(self, event)
        spec = self.record.spec
        if isinstance(event, events.Lost) and spec is not None:
            self._context.fleet.hear_of_loss(spec)

    def is_own(self, message: InboundMessage) -> bool:
        """Take what is only between us and the broker; return whether it was that."""
        return self._upkeep.take(message)

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
    return Life(
        spec.protocol,
        spec.connect_timeout_s,
        spec.needs_mqtt_5,
        keeps_session=not spec.clean_session,
        will_qos=spec.status_qos if spec.status_topic else 0,
        tried_at=tried_at,
    )
