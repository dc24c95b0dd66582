"""The view on the whole: when most connections of one broker went down together. Pure."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flask_babel import gettext as _

from database.hosts import normalized_host
from webapp.picture.overview import Item
from webapp.wording import texts

#: Losses within this time are one event.
TOGETHER = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Outage:
    """Most of a broker's connections, lost at once."""

    host: Any
    port: Any
    items: Sequence[Item]
    #: Enabled connections to this broker.
    enabled: int
    #: When the first of them was lost.
    since: datetime

    @property
    def key(self) -> str:
        """Names the outage among the others of a page, whoever of it has come back meanwhile."""
        host = normalized_host(str(self.host))
        broker = f"{host}:{self.port}".encode("utf-8", "replace")
        return f"outage-{hashlib.sha256(broker).hexdigest()[:12]}"

    @property
    def sentence(self) -> str:
        """Say it once."""
        return str(
            _(
                "%(number)s of %(all)s to %(broker)s lost within %(seconds)s s: the broker or the "
                "network, not the records",
                number=texts.number(len(self.items)),
                all=texts.count(self.enabled, "connection"),
                broker=f"{self.host}:{self.port}",
                seconds=f"{TOGETHER.total_seconds():.0f}",
            )
        )


def outages(items: Iterable[Item]) -> list[Outage]:
    """Return the outages among `items`, the largest first.

    An outage is at least two connections to one host and port, and more than half of the
    enabled ones, that are down and went down within TOGETHER.
    """
    brokers: dict[tuple[str, str], list[Item]] = defaultdict(list)
    for item in items:
        if item.enabled:
            brokers[normalized_host(str(item.host)), str(item.port)].append(item)
    found = [outage for same in brokers.values() if (outage := _outage(same))]
    return sorted(found, key=lambda outage: -len(outage.items))


def _outage(same: Sequence[Item]) -> Outage | None:
    together = _largest_together([item for item in same if _was_lost(item)])
    if len(together) < 2 or 2 * len(together) <= len(same):
        return None
    first = together[0]
    assert first.down_since is not None
    return Outage(first.host, first.port, together, len(same), first.down_since)


def _was_lost(item: Item) -> bool:
    """Whether a session ended; what never worked was not lost."""
    return not item.up and item.down_since is not None and item.was_connected is not False


def _largest_together(down: list[Item]) -> Sequence[Item]:
    """Return the most items whose losses lie within TOGETHER of each other, first lost first."""
    moments = sorted((item.down_since, item.id, item) for item in down if item.down_since)
    best: Sequence[Item] = ()
    start = 0
    for end, (moment, *_others) in enumerate(moments):
        while moment - moments[start][0] > TOGETHER:
            start += 1
        if end + 1 - start > len(best):
            best = [item for _, _, item in moments[start : end + 1]]
    return best
