"""Who holds our client id? Every client leaves its name, retained, at `<status_topic>/who`.

A broker closes a client that is taken over, most without a word. Back again, we read the
name that is retained there before we leave ours: another one was left after our own, by
whoever held the client id meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache

from database.visible import one_line

#: Longest message that is read as a name, bytes.
MAX_BYTES = 4_096
#: Characters that are kept of each name: it is shown to people.
MAX_CHARACTERS = 200
#: So many others are remembered; whoever writes more names than that has no good in mind.
MOST_NEIGHBOURS = 32


@dataclass(frozen=True, slots=True)
class Who:
    """One process that runs a client."""

    worker_id: str
    hostname: str
    pid: int
    #: Random, new with every start of the process.
    boot_id: str


@lru_cache(maxsize=1)
def payload_of(who: Who) -> bytes:
    """Return what a process leaves at each of its brokers."""
    return json.dumps(asdict(who)).encode()


def read(payload: bytes) -> Who | None:
    """Return who left `payload`, None if it is no name; any client can write anything."""
    if len(payload) > MAX_BYTES:
        return None
    try:
        found = json.loads(payload)
        return Who(
            worker_id=one_line(str(found["worker_id"]), MAX_CHARACTERS),
            hostname=one_line(str(found["hostname"]), MAX_CHARACTERS),
            pid=int(found["pid"]),
            boot_id=str(found["boot_id"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Register:
    """What one client knows of the names at its topic."""

    #: Our own boot id.
    own: str
    #: The broker has had our name since the client id was ours.
    is_announced: bool = False
    #: The session before this one ended as if somebody had taken it over.
    was_thrown_out: bool = False
    #: Others that left their name while we stayed connected, so with another client id, or
    #: before our own first: they may share the status topic only, and come back to it.
    neighbours: tuple[str, ...] = ()

    def announced(self) -> Register:
        """Return what is known once the broker has our name."""
        return replace(self, is_announced=True)

    def lost(self, *, thrown_out: bool) -> Register:
        """Return what is known after the session ended."""
        return replace(self, was_thrown_out=thrown_out)

    def met(self, who: Who, *, was_there: bool = False) -> Register:
        """Return what is known after `who` left its name, which `was_there` when we came."""
        is_known = who.boot_id in (self.own, *self.neighbours)
        if is_known or (was_there and self.is_announced):
            return self
        known = (*self.neighbours, who.boot_id)
        return replace(self, neighbours=known[-MOST_NEIGHBOURS:])

    def is_rival(self, who: Who) -> bool:
        """Whether `who`, retained when we came back, proves another holder of our client id."""
        stranger = who.boot_id != self.own and who.boot_id not in self.neighbours
        return stranger and self.is_announced and self.was_thrown_out
