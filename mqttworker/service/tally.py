"""Counts what one connection carries, and notices which expected messages do not come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from mqttworker.core import quiet
from mqttworker.core.events import Event
from mqttworker.core.messages import InboundMessage
from mqttworker.core.spec import Expectation, Record
from mqttworker.core.traffic import Counts, Stretch, matching
from mqttworker.ports.accounts import Account, Heard
from mqttworker.ports.journal import Traffic
from mqttworker.service.context import Clock

NEVER = float("-inf")


class _Ear:
    """What came by one Topic Filter; times are monotonic seconds."""

    __slots__ = ("expectation", "heard_at", "is_moved", "messages", "quiet_since")

    def __init__(self, expectation: Expectation) -> None:
        self.expectation = expectation
        #: Since the last time that it was written down.
        self.messages = 0
        self.heard_at = NEVER
        self.quiet_since: float | None = None
        # What an earlier process wrote of an expectation is not ours: say how it stands now.
        self.is_moved = expectation.every_s > 0


class Tally:
    """What one connection carried since the worker started.

    What the loop calls is cheap and never blocks: there may be 50,000 messages a second. A
    tally with something new puts itself into the set `moved`.
    """

    __slots__ = (
        "_clock",
        "_ears",
        "_filters",
        "_is_held_back",
        "_last_at",
        "_let_go_on_at",
        "_listening_since",
        "_moved",
        "_new",
        "_quiet",
        "_round_trip_ms",
        "_session_at",
        "_set_aside",
        "_sum",
        "connection_id",
    )

    def __init__(self, record: Record, clock: Clock, moved: set[Any]) -> None:
        self.connection_id = record.connection_id
        self._clock = clock
        self._moved = moved
        #: Without what is `_new` since the last time that it was written down.
        self._sum, self._new = Counts(), Counts()
        self._set_aside = 0
        #: Monotonic seconds.
        self._last_at: float | None = None
        self._round_trip_ms: float | None = None
        self._ears: tuple[_Ear, ...] = ()
        self._filters: tuple[str, ...] = ()
        self._quiet: quiet.AllQuiet = ()
        self._session_at: float | None = None
        self._listening_since = NEVER
        self._is_held_back = False
        self._let_go_on_at = NEVER
        self.follow(record)

    # --- called on the loop: only take note

    def received(self, messages: Sequence[InboundMessage]) -> None:
        """Count messages that were taken, those of one read at a time."""
        self._new.messages_in += len(messages)
        self._new.bytes_in += sum([len(message.payload) for message in messages])
        self._hear(messages)

    def dropped(self, messages: Sequence[InboundMessage]) -> None:
        """Count messages that came and were not taken; they are not `received`."""
        self._new.messages_dropped += len(messages)
        self._new.bytes_dropped += sum([len(message.payload) for message in messages])
        self._hear(messages)

    def set_aside(self, number: int) -> None:
        """Count messages that were received and went to the dead letters."""
        self._set_aside += number
        self._moved.add(self)

    def sent(self, _topic: str, size: int) -> None:
        """Count a message that was published, with a payload of `size` bytes."""
        self._new.messages_out += 1
        self._new.bytes_out += size
        self._moved.add(self)

    def hold_back(self) -> None:
        """Take note that we read nothing from the broker, so that silence means nothing."""
        self._is_held_back = True

    def let_go_on(self) -> None:
        """Take note that we read again."""
        self._is_held_back, self._let_go_on_at = False, self._clock.now()

    def _hear(self, messages: Sequence[InboundMessage]) -> None:
        self._last_at = now = self._clock.now()
        self._moved.add(self)
        if not self._ears:
            return
        for topic, number in _topics(messages):
            for place in matching(self._filters, topic):
                ear = self._ears[place]
                ear.messages += number
                ear.heard_at = now
                ear.is_moved = True

    # --- called by the manager

    def follow(self, record: Record) -> None:
        """Count by the Topic Filters of `record` from now on."""
        known = {ear.expectation.subscription_id: ear for ear in self._ears}
        self._ears = tuple(
            _continued(known.get(expectation.subscription_id), expectation)
            for expectation in record.expectations
        )
        self._filters = tuple(expectation.topic_filter for expectation in record.expectations)
        if any(ear.is_moved for ear in self._ears):
            self._moved.add(self)

    def listen(self, session_at: float | None, now: float) -> Event | None:
        """Return what the connection is to hear of expected messages, None if nothing is new.

        `session_at` is when the present session began, None without one: with a session ends
        what was said of it.
        """
        if session_at != self._session_at:
            self._session_at = session_at
            self._listening_since = NEVER if session_at is None else session_at
            self._now_quiet(())
        if session_at is None:
            return None
        if self._is_held_back:
            self._listening_since = now
            return None
        before, after = self._quiet, self._overdue(now)
        self._now_quiet(after)
        return quiet.news(before, after)

    @property
    def deaf_at(self) -> float:
        """When we last read nothing from the broker; monotonic seconds."""
        return self._clock.now() if self._is_held_back else self._let_go_on_at

    def note_round_trip(self, milliseconds: float | None) -> None:
        """Take note of how long the last message to ourselves took, None if there is none."""
        if milliseconds != self._round_trip_ms:
            self._round_trip_ms = milliseconds
            self._moved.add(self)

    def traffic(self) -> Traffic:
        """Return the sums since the worker started."""
        old, new = self._sum, self._new
        return Traffic(
            messages_in=old.messages_in + new.messages_in,
            messages_out=old.messages_out + new.messages_out,
            bytes_in=old.bytes_in + new.bytes_in,
            bytes_out=old.bytes_out + new.bytes_out,
            messages_dropped=old.messages_dropped + new.messages_dropped,
            bytes_dropped=old.bytes_dropped + new.bytes_dropped,
            messages_set_aside=self._set_aside,
            last_message_at=None if self._last_at is None else self._clock.wall(self._last_at),
            round_trip_ms=self._round_trip_ms,
        )

    # --- called when it is written down

    def settle(self, account: Account, when: Sequence[Stretch]) -> Counts:
        """Put what is new since the last time to `account`, as counted in the stretches `when`.

        Returns what was counted.
        """
        account.traffic = self.traffic()
        new, self._new = self._new, Counts()
        if new:
            account.count(when, new)
            self._sum.add(new)
        if news := [self._told(ear) for ear in self._ears if ear.is_moved]:
            account.hear(news)
        return new

    def _told(self, ear: _Ear) -> Heard:
        wall = self._clock.wall
        heard = Heard(
            ear.expectation.subscription_id,
            ear.messages,
            wall(ear.heard_at) if ear.messages else None,
            wall(ear.quiet_since) if ear.quiet_since is not None else None,
        )
        ear.messages, ear.is_moved = 0, False
        return heard

    # --- pieces

    def _overdue(self, now: float) -> quiet.AllQuiet:
        waiting = [ear for ear in self._ears if ear.expectation.every_s]
        if not waiting:
            return ()
        heard = [ear.heard_at for ear in waiting]
        expectations = [ear.expectation for ear in waiting]
        return quiet.overdue(expectations, heard, self._listening_since, now)

    def _now_quiet(self, found: quiet.AllQuiet) -> None:
        if found == self._quiet:
            return
        self._quiet = found
        since = {each.expectation.subscription_id: each.since for each in found}
        for ear in self._ears:
            quiet_since = since.get(ear.expectation.subscription_id)
            if quiet_since != ear.quiet_since:
                ear.quiet_since, ear.is_moved = quiet_since, True
        self._moved.add(self)


def _topics(messages: Sequence[InboundMessage]) -> Iterable[tuple[str, int]]:
    """Return each topic and how often it came: topics repeat within one read."""
    if len(messages) == 1:
        return ((messages[0].topic, 1),)
    return Counter([message.topic for message in messages]).items()


def _continued(ear: _Ear | None, expectation: Expectation) -> _Ear:
    """Return the ear for `expectation`: the one there was, unless it listened to another filter."""
    if ear is None or ear.expectation.topic_filter != expectation.topic_filter:
        return _Ear(expectation)
    if ear.expectation != expectation:
        ear.expectation, ear.is_moved = expectation, True
    return ear
