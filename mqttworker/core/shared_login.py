"""Do our own clients throw each other out because they share a login?

Some brokers take the user name, or the Common Name of the client certificate, for the client
id (mosquitto: `use_username_as_clientid`). Two sessions with one login cannot stand there side
by side: whenever one begins, the other ends. One `SharedLogin` watches all clients of ours
with one login at one host. Pure; every `now` is monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from mqttworker.core.verdicts import SILENT_CLOSES

#: How a session ends that was taken over, in words or without.
TAKEOVER_CODES = SILENT_CLOSES | {"session_taken_over"}
#: Two sessions that stand together for so long do not throw each other out, seconds.
SIDE_BY_SIDE = 0.4
#: A session that began may be heard of before the one that it ended, seconds.
SLACK = 0.1
#: So many takeovers in a row it takes to believe in them after sessions stood side by side.
DOUBT = 3
#: So many takeovers in a row are no accident.
PROVEN = 2
#: So long tests are warned after the last takeover, seconds: the broker may be set up anew.
MEMORY = 86_400.0
#: So many clients that may have ended a session are looked at; the newest knows best.
MOST_SUSPECTS = 8


@dataclass(eq=False, slots=True)
class Use:
    """One session of a client, from its try on."""

    client: object
    tried_at: float
    opened_at: float | None = None
    ended_at: float | None = None
    #: It ended without our doing.
    was_lost: bool = False
    #: Whose beginning may have ended it, the newest first; empty where nothing points to that.
    suspects: list[Use] = field(default_factory=list)

    @property
    def is_suspect(self) -> bool:
        """Whether it came up, or still may, and was not lost itself."""
        return not self.was_lost and (self.opened_at is not None or self.ended_at is None)

    def may_have_ended(self, other: Use, now: float) -> bool:
        """Whether this one was beginning when the session `other` ended, at `now`."""
        was_beginning = self.opened_at is None or self.opened_at >= now - SLACK
        return self is not other and self.tried_at <= now and was_beginning


class SharedLogin:
    """The clients of ours with one login at one host."""

    def __init__(self) -> None:
        #: How many clients have this login.
        self.clients = 0
        #: The present session of each client, those that are up in the order of their opening.
        self._trying: dict[object, Use] = {}
        self._up: dict[object, Use] = {}
        #: When two sessions were last seen side by side.
        self._side_by_side_at = float("-inf")
        #: Takeovers in a row; below zero after sessions that stood side by side.
        self._score = 0
        self._taken_over_at = float("-inf")

    def is_known(self, now: float) -> bool:
        """Whether sessions with this login were seen to throw each other out."""
        return self._score > 0 and now - self._taken_over_at < MEMORY

    @property
    def is_proven(self) -> bool:
        """Whether that was seen more than once."""
        return self._score >= PROVEN

    @property
    def is_doubtful(self) -> bool:
        """Whether sessions with this login have stood side by side."""
        return self._score < 0

    @property
    def is_unused(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self.clients or self._score)

    @property
    def holders(self) -> Iterable[object]:
        """The clients whose sessions are up."""
        return self._up.keys()

    def tries(self, use: Use) -> None:
        """Record a try."""
        self._trying[use.client] = use

    def opened(self, use: Use) -> None:
        """Record that the session of a try is up."""
        if self._trying.pop(use.client, None) is not None:
            self._up[use.client] = use

    def ended(self, use: Use, now: float) -> None:
        """Record that a try or a session is over, and whose beginning may have ended it."""
        self._look(now)
        self._trying.pop(use.client, None)
        self._up.pop(use.client, None)
        began_at = use.tried_at if use.opened_at is None else use.opened_at
        if self._side_by_side_at < began_at + SIDE_BY_SIDE:
            use.suspects = list(islice(self._suspects(use, now), MOST_SUSPECTS))

    def took_over(self, now: float) -> bool:
        """Count what looks like a takeover; return whether it is to be believed."""
        self._look(now)
        self._score += 1
        self._taken_over_at = now
        return self.is_known(now)

    def forget(self) -> None:
        """Begin anew: the broker may have been set up in another way meanwhile."""
        self._score = 0

    def _look(self, now: float) -> None:
        """See whether two sessions stand side by side: then the two oldest do."""
        second = next(islice(self._up.values(), 1, None), None)
        if second is None or second.opened_at is None or now - second.opened_at < SIDE_BY_SIDE:
            return
        self._side_by_side_at = now
        self._score = -DOUBT + 1

    def _suspects(self, use: Use, now: float) -> Iterator[Use]:
        for other in reversed(self._up.values()):
            if not other.may_have_ended(use, now):
                break
            yield other
        for other in reversed(self._trying.values()):
            if other.may_have_ended(use, now):
                yield other
