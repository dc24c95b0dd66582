"""Which processes have fallen silent? Judged by the monotonic clock of whoever listens."""

from __future__ import annotations

from dataclasses import dataclass

#: Time between two pulses of a process whose hub turns, seconds.
PULSE_INTERVAL = 0.5
#: A hub that has not turned for this long will not turn again, seconds.
FREEZE_LIMIT = 4.0
#: The watchdog inside the process knows more of a hub that hangs, so it bites first, seconds.
HEAD_START = 0.25
#: A listener that is this late was not running itself and has missed pulses, seconds.
LATE = 1.0


@dataclass(frozen=True, slots=True)
class Silence:
    """A process that has sent nothing for too long."""

    pid: int
    seconds: float


class Pulses:
    """Remembers when each process was last heard."""

    def __init__(self, now: float) -> None:
        self._heard_at: dict[int, float] = {}
        self._looked_at = now

    def heard(self, pid: int, now: float) -> None:
        """Take note of a pulse."""
        self._heard_at[pid] = now

    def forget(self, pid: int) -> None:
        """Expect nothing more of a process."""
        self._heard_at.pop(pid, None)

    def look(self, now: float) -> list[Silence]:
        """Return who is silent; to be called several times a second.

        If that did not happen the whole machine was suspended or paused, and silence
        means nothing: all ages start anew.
        """
        was_late = now - self._looked_at > LATE
        self._looked_at = now
        if was_late:
            self._heard_at = dict.fromkeys(self._heard_at, now)
        limit = FREEZE_LIMIT + HEAD_START
        ages = {pid: now - heard_at for pid, heard_at in self._heard_at.items()}
        return [Silence(pid, age) for pid, age in ages.items() if age > limit]
