"""The verdict on a picture: pass, warn or fail, and why in one sentence.

Pure functions. Sentences name connections and states and never a host, id or topic, so
that they may be shown to anybody who may see names.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from database.words import ConnectionState, WorkerState
from webapp import texts
from webapp.certificates import Held
from webapp.overview import Item, Picture
from webapp.workers import Worker

Status = Literal["pass", "warn", "fail"]
#: Connections that a sentence names before it only counts.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the whole stands."""

    status: Status
    output: str


def judge(picture: Picture, expiring: Sequence[Held] = ()) -> Verdict:
    """Return the verdict on `picture` and on what of its certificates is `expiring`."""
    found = _judge_connections(picture)
    if found.status == "fail" or not expiring:
        return found
    sentence = _certificates(expiring, picture.now)
    if found.status == "pass":
        return Verdict("warn", f"{sentence[0].upper()}{sentence[1:]}")
    return Verdict("warn", f"{found.output}; {sentence}")


def _judge_connections(picture: Picture) -> Verdict:
    if not picture.live:
        return Verdict("fail", worker_sentence(picture.worker))
    enabled = picture.enabled
    if not enabled:
        return Verdict("pass", "No connection is enabled.")
    down = [item for item in enabled if not item.up]
    late = [item for item in down if not picture.within_grace(item)]
    if late and len(late) == len(enabled):
        return Verdict("fail", _list(late, len(enabled), "connected"))
    if late:
        return Verdict("warn", _list(late, len(enabled), "connected"))
    degraded = [item for item in enabled if item.state == ConnectionState.DEGRADED]
    if degraded:
        return Verdict("warn", _list(degraded, len(enabled), "fully working"))
    return Verdict("pass", _fine(len(enabled), len(down)))


def worker_sentence(worker: Worker | None) -> str:
    """Say why the worker's word cannot be taken."""
    if worker is None:
        return "No worker has ever reported: states are unknown."
    if worker.state == WorkerState.STOPPED:
        return "The worker is stopped: states are unknown."
    if worker.stale:
        return f"The worker has been silent for {worker.age_s:.0f} s: states are unknown."
    return f"The worker is in state {worker.state}: no connection is looked after."


def _certificates(expiring: Sequence[Held], now: datetime) -> str:
    named = "; ".join(
        f"certificate of {held.name} ({held.role}) {_when(held, now)}" for held in expiring[:NAMED]
    )
    more = f"; and {len(expiring) - NAMED:,} more" if len(expiring) > NAMED else ""
    return f"{named}{more}"


def _when(held: Held, now: datetime) -> str:
    assert held.certificate.expires is not None
    words = texts.expiry((held.certificate.expires - now).total_seconds())
    return words if words.startswith("expired") else f"expires {words}"


def _fine(enabled: int, starting: int) -> str:
    if not starting:
        if enabled == 1:
            return "The one enabled connection is connected."
        return f"All {enabled:,} enabled connections are connected."
    return (
        f"{enabled - starting:,} of {texts.count(enabled, 'enabled connection')} connected, "
        f"{starting:,} starting for less than 10 s."
    )


def _list(items: Sequence[Item], enabled: int, what: str) -> str:
    verb = "is" if len(items) == 1 else "are"
    worst = sorted(items, key=lambda item: texts.rank(item.state))[:NAMED]
    named = "; ".join(
        f"{item.name} ({texts.state_word(item.state)}, {item.summary})" for item in worst
    )
    more = f"; and {len(items) - NAMED:,} more" if len(items) > NAMED else ""
    total = texts.count(enabled, "enabled connection")
    return f"{len(items):,} of {total} {verb} not {what}: {named}{more}"
