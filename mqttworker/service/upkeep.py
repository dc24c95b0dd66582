"""Keeps what a session says of itself true while it stands.

Says who we are and finds out who else did, corrects the status topic when others have
left it wrong, and sends messages to ourselves to see that traffic flows. What is heard
comes in on the loop and is only noted; what is said goes out on the manager's greenlet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import structlog

from database.words import Certainty
from mqttworker.core import events, self_ping, who
from mqttworker.core.cause import Cause, cause
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import (
    OutboundMessage,
    Session,
    ignore,
    status_message,
)
from mqttworker.service.context import Clock

log = structlog.get_logger(__name__)

#: A broker that ends publishes our will while it closes us; that corrects itself, seconds.
CORRECTION_DELAY = 0.5
#: Least time between two corrections of the status topic, seconds.
CORRECTION_GAP = 5.0
#: Two records can share a status topic and correct each other: told so often, seconds.
TELL_AGAIN = 600.0
#: So many sessions in a row that end while we say who we are: the broker does not like it.
CUT_GREETINGS = 2


class Upkeep:
    """The upkeep of one connection, over all of its sessions."""

    __slots__ = (
        "_clock",
        "_correct_at",
        "_corrected_at",
        "_cut_greetings",
        "_is_greeting",
        "_me",
        "_name",
        "_own",
        "_ping",
        "_post",
        "_register",
        "_rival",
        "_session",
        "_spec",
        "_told_at",
        "_watched",
        "round_trip_ms",
    )

    def __init__(
        self, name: str, me: who.Who, clock: Clock, post: Callable[[events.Event], object]
    ) -> None:
        self._name = name
        self._me = me
        self._clock = clock
        self._post = post
        self._register = who.Register(me.boot_id)
        self._cut_greetings = 0
        self._is_greeting = False
        self._corrected_at = float("-inf")
        self._told_at = float("-inf")
        self._spec: ConnectionSpec | None = None
        self._watched: tuple[str, ...] = ()
        #: What takes a message on each of our own topics.
        self._own: dict[str, Callable[[InboundMessage], None]] = {}
        #: Set while a session is looked after.
        self._session: Session | None = None
        self._ping: self_ping.SelfPing | None = None
        self._rival: who.Who | None = None
        self._correct_at: float | None = None
        self.round_trip_ms: float | None = None

    # --- called by the manager's greenlet

    def watch(self, spec: ConnectionSpec) -> tuple[str, ...]:
        """Return the topics that the next session is to watch."""
        self._spec = spec
        self._watched = () if self._is_plain else spec.watched_topics
        self._is_greeting = not self._is_plain
        self._own = {} if self._is_plain else self._takers(spec)
        return self._watched

    def begin(self, session: Session) -> None:
        """Look after `session`, which is up."""
        self._session = session

    def end(self, *, thrown_out: bool = False, forbidden: bool = False) -> None:
        """Look after nothing: the session is gone, or going.

        `thrown_out` if the broker closed it without a word, `forbidden` if it said no.
        """
        self._register = self._register.lost(thrown_out=thrown_out)
        if self._session is not None and self._is_greeting and (thrown_out or forbidden):
            self._cut_greetings += CUT_GREETINGS if forbidden else 1
            if self._is_plain:
                words = "the broker hangs up when own topics are watched, going on without"
                log.warning(words, connection=self._name)
        self._forget()

    def greeted(self) -> None:
        """Go on once the broker has our `online`: by then it has said what was retained."""
        spec = self._spec
        if self._session is None or spec is None:
            return
        if self._rival is not None:
            self._post(events.RivalNamed(_named(self._rival)))
        elif spec.who_topic and not self._is_plain:
            # With QoS 1 whatever the status topic has: only a PUBACK shows that it was let through.
            name = OutboundMessage(spec.who_topic, who.payload_of(self._me), qos=1, retain=True)
            self._session.publish(name, self._announced)
        else:
            self._is_greeting = False
        if spec.self_ping_s and not self._is_plain:
            self._ping = self_ping.begin(float(spec.self_ping_s), self._clock.now())

    @property
    def _is_plain(self) -> bool:
        """Whether this broker gets nothing but `online`."""
        return self._cut_greetings >= CUT_GREETINGS

    @property
    def due_at(self) -> float | None:
        """When `tick` has something to do, None while it has not."""
        ping = self._ping.due_at if self._ping else None
        moments = [moment for moment in (ping, self._correct_at) if moment is not None]
        return min(moments, default=None)

    def tick(self, now: float, deaf_at: float) -> events.Event:
        """Do what is due; return what it means for the life, Due if nothing.

        `deaf_at` is when we last read nothing from the broker, because we could not take more.
        """
        if self._correct_at is not None and now >= self._correct_at:
            self._correct(now)
        if self._ping is not None and now >= self._ping.due_at:
            return self._drive_ping(self._ping, now, deaf_at)
        return events.Due()

    # --- called on the loop: only take note

    def take(self, message: InboundMessage) -> bool:
        """Note a message on one of our own topics; return whether it is ours alone."""
        take = self._own.get(message.topic)
        if take is None:
            return self._is_of_a_test(message)
        take(message)
        return message.topic in self._watched or take == self._take_ping

    # --- pieces

    def _is_of_a_test(self, message: InboundMessage) -> bool:
        """Whether the record's own Topic Filters caught what a test of it publishes."""
        topics = self._spec.test_topics if self._spec else None
        return topics is not None and message.topic.startswith(topics)

    def _takers(self, spec: ConnectionSpec) -> dict[str, Callable[[InboundMessage], None]]:
        status = spec.status_topic if spec.announce_who else None
        takers = (
            (status, self._take_status),
            (spec.who_topic, self._take_name),
            (spec.ping_topic, self._take_ping),
        )
        return {topic: take for topic, take in takers if topic}

    def _forget(self) -> None:
        self._session = self._ping = self._rival = self._correct_at = self.round_trip_ms = None

    def _announced(self, refused: Cause | None) -> None:
        if refused is not None and refused.code == "not_connected":
            # The session ended first; what that means is judged in `end`.
            return
        if self._session is not None:
            self._is_greeting = False
            self._cut_greetings = 0
        if refused is None:
            self._register = self._register.announced()

    def _take_name(self, message: InboundMessage) -> None:
        found = who.read(message.payload)
        if found is None:
            return
        if message.retain and self._register.is_rival(found):
            self._rival = found
        else:
            self._register = self._register.met(found, was_there=message.retain)

    def _take_status(self, message: InboundMessage) -> None:
        if self._spec is None or message.payload == self._spec.online_payload.encode():
            return
        # Before we are greeted, `online` is still on its way.
        is_known = self._correct_at is not None
        if self._session is not None and not self._is_greeting and not is_known:
            earliest = self._clock.now() + CORRECTION_DELAY
            self._correct_at = max(earliest, self._corrected_at + CORRECTION_GAP)
            self._post(events.Due())

    def _correct(self, now: float) -> None:
        self._correct_at, self._corrected_at = None, now
        if self._session is not None and self._spec is not None:
            self._tell_correction(now)
            self._session.publish(status_message(self._spec, self._spec.online_payload), ignore)

    def _tell_correction(self, now: float) -> None:
        if now - self._told_at >= TELL_AGAIN:
            self._told_at = now
            log.info("the status topic was wrong, corrected", connection=self._name)

    def _drive_ping(self, ping: self_ping.SelfPing, now: float, deaf_at: float) -> events.Event:
        if ping.sent_at is None:
            self._ping = self_ping.sent(ping, now)
            self._send_ping(self._ping.number)
            return events.Due()
        if deaf_at >= ping.sent_at:
            self._ping = self_ping.postponed(ping, now)
            return events.Due()
        self._ping = self_ping.missed(ping, now)
        if self._ping.is_broken:
            return events.Broken(cause("self_ping_failed"))
        return events.Impaired(cause("self_ping_missed", seconds=ping.patience))

    def _send_ping(self, number: int) -> None:
        if self._session is not None and self._spec is not None and self._spec.ping_topic:
            payload = f"{self._me.boot_id} {number}".encode()
            self._session.publish(OutboundMessage(self._spec.ping_topic, payload, qos=1), ignore)

    def _take_ping(self, message: InboundMessage) -> None:
        boot_id, _, number = message.payload.decode("ascii", "replace").partition(" ")
        if self._ping is None or boot_id != self._me.boot_id or not number.isdecimal():
            return
        was_missed = self._ping.misses > 0
        self._ping, took = self_ping.returned(self._ping, int(number[:20]), self._clock.now())
        if took is None:
            return
        self.round_trip_ms = round(took * 1000, 1)
        self._post(events.Recovered(cause("self_ping_returned")) if was_missed else events.Due())


def _named(rival: who.Who) -> Cause:
    found = cause(
        "duplicate_client_id", rival=rival.hostname, pid=rival.pid, worker_id=rival.worker_id
    )
    return replace(found, certainty=Certainty.CERTAIN)
