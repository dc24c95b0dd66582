"""Keeps what a session says of itself true while it stands.

Says who we are and finds out who else did, looks after the status topic
(`service.status_topic`), and sends messages to ourselves to see that traffic flows. What is
heard comes in on the loop and is only noted; what is said goes out on the manager's greenlet.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import replace

import structlog

from database.words import Certainty
from mqttworker.core import events, self_ping, who
from mqttworker.core.cause import Cause, cause
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import ConnectionSpec
from mqttworker.core.topics import matches
from mqttworker.ports.transport import OutboundMessage, Session
from mqttworker.service.context import Clock
from mqttworker.service.status_topic import PATIENCE, StatusTopic

log = structlog.get_logger(__name__)

#: So many sessions in a row that end while we say who we are: the broker does not like it.
CUT_GREETINGS = 2


class Upkeep:
    """The upkeep of one connection, over all of its sessions."""

    __slots__ = (
        "_clock",
        "_cut_greetings",
        "_is_greeting",
        "_is_name_refused",
        "_is_ping_refused",
        "_me",
        "_name",
        "_own",
        "_ping",
        "_ping_by",
        "_post",
        "_register",
        "_rival",
        "_session",
        "_spec",
        "_status",
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
        self._is_name_refused = False
        self._is_ping_refused = False
        self._status = StatusTopic(name, clock, post)
        self._spec: ConnectionSpec | None = None
        self._watched: tuple[str, ...] = ()
        #: What takes a message on each of our own topics.
        self._own: dict[str, Callable[[InboundMessage], None]] = {}
        #: Set while a session is looked after.
        self._session: Session | None = None
        self._ping: self_ping.SelfPing | None = None
        self._rival: who.Who | None = None
        #: When the self-ping begins if the broker has not answered `online` by then.
        self._ping_by: float | None = None
        self.round_trip_ms: float | None = None

    # --- called by the manager's greenlet

    def watch(self, spec: ConnectionSpec) -> tuple[str, ...]:
        """Return the topics that the next session is to watch."""
        self._spec = spec
        self._watched = () if self._is_plain else spec.watched_topics
        self._is_greeting = not self._is_plain
        self._own = {} if self._is_plain else self._takers(spec)
        return self._watched

    def begin(self, session: Session, refused_filters: Container[str] = ()) -> None:
        """Look after `session`, which is up; the broker has refused some of its filters."""
        self._session = session
        if (spec := self._spec) is None or not spec.status_topic:
            return
        is_readable = self._reads(spec, spec.status_topic, refused_filters)
        self._status.begin(session, spec, is_readable=is_readable)
        if not self._is_plain:
            self._ping_by = self._clock.now() + PATIENCE

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

    def greeted(self, event: events.Greeted) -> None:
        """Go on once the broker has answered `online`: by then it has said what was retained."""
        spec = self._spec
        if self._session is None or spec is None:
            return
        self._status.published(event)
        if self._rival is not None:
            self._post(events.RivalNamed(_named(self._rival)))
        elif spec.who_topic and not self._is_plain:
            # With QoS 1 whatever the status topic has: only a PUBACK shows that it was let through.
            qos = self._qos_1
            name = OutboundMessage(spec.who_topic, who.payload_of(self._me), qos, retain=True)
            self._session.publish(name, self._announced)
        else:
            self._is_greeting = False
        self._begin_ping(self._clock.now())

    def own_topics_refused(self, codes: Mapping[str, int]) -> None:
        """Do without what the broker does not let us read; `codes` by topic, of the SUBACK."""
        spec = self._spec
        if self._session is None or spec is None:
            return
        if spec.status_topic in codes:
            self._status.is_readable = False
        if spec.ping_topic and (code := codes.get(spec.ping_topic)) is not None:
            self._refuse_ping(spec.ping_topic, code)
        words = "the broker does not let us read own topics"
        log.info(words, connection=self._name, topics=[*codes])

    @property
    def _is_plain(self) -> bool:
        """Whether this broker gets nothing but `online`."""
        return self._cut_greetings >= CUT_GREETINGS

    @property
    def due_at(self) -> float | None:
        """When `tick` has something to do, None while it has not."""
        ping = self._ping.due_at if self._ping else None
        awaited = (ping, self._ping_by, self._status.due_at)
        return min((moment for moment in awaited if moment is not None), default=None)

    def tick(self, now: float, deaf_at: float) -> events.Event:
        """Do what is due; return what it means for the life, Due if nothing.

        `deaf_at` is when we last read nothing from the broker, because we could not take more.
        """
        if self._ping_by is not None and now >= self._ping_by:
            self._go_on_without_answer(now)
        if (status_due := self._status.due_at) is not None and now >= status_due:
            return self._status.tick(now, deaf_at)
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
        self._session = self._ping = self._rival = self._ping_by = self.round_trip_ms = None
        self._is_ping_refused = False
        self._status.end()

    def _announced(self, refused: Cause | None) -> None:
        if refused is not None and refused.code == "not_connected":
            # The session ended first; what that means is judged in `end`.
            return
        if self._session is not None:
            self._is_greeting = False
            self._cut_greetings = 0
        if refused is None:
            self._register = self._register.announced()
        elif not self._is_name_refused:
            self._is_name_refused = True
            words = "the broker does not take who holds the client id"
            log.warning(words, connection=self._name, reason=str(refused), code=refused.raw_code)

    def _take_name(self, message: InboundMessage) -> None:
        found = who.read(message.payload)
        if found is None:
            return
        if message.retain and self._register.is_rival(found):
            self._rival = found
        else:
            self._register = self._register.met(found, was_there=message.retain)

    def _take_status(self, message: InboundMessage) -> None:
        self._status.take(message, is_greeting=self._is_greeting)

    def _reads(self, spec: ConnectionSpec, topic: str, refused_filters: Container[str]) -> bool:
        """Whether what is published on one of our own topics reaches us."""
        return topic in self._own and (
            topic in self._watched
            or any(
                matches(item.topic_filter, topic) and item.topic_filter not in refused_filters
                for item in spec.subscriptions
            )
        )

    @property
    def _qos_1(self) -> int:
        """QoS 1, or what the broker takes of it."""
        return min(1, self._session.terms.maximum_qos) if self._session is not None else 1

    def _go_on_without_answer(self, now: float) -> None:
        """Begin what waits for the answer to `online`, which does not come."""
        greeted_at = self._session.greeted_at if self._session is not None else None
        if greeted_at is None or now < greeted_at + PATIENCE:
            # The SUBSCRIBE to our own topics goes out together with it.
            self._ping_by = (now if greeted_at is None else greeted_at) + PATIENCE
            return
        self._status.expect_by(now)
        self._begin_ping(now)

    def _begin_ping(self, now: float) -> None:
        self._ping_by = None
        spec = self._spec
        if self._is_plain or self._is_ping_refused or self._ping is not None:
            return
        if spec is not None and spec.ping_topic:
            self._ping = self_ping.begin(float(spec.self_ping_s), now)

    def _pinged(self, refused: Cause | None) -> None:
        if refused is not None and refused.raw_code is not None and self._spec is not None:
            self._refuse_ping(self._spec.ping_topic, refused.raw_code)

    def _refuse_ping(self, topic: str | None, code: int) -> None:
        """Send no more messages to ourselves in this session: none would come back."""
        self._ping, self._is_ping_refused = None, True
        self._post(events.Impaired(cause("self_ping_refused", raw_code=code, topic=topic)))

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
            message = OutboundMessage(self._spec.ping_topic, payload, self._qos_1)
            self._session.publish(message, self._pinged)

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
