"""What the service writes down about the traffic of connections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from mqttworker.core.traffic import MINUTE, Counts, Stretch
from mqttworker.ports.journal import Traffic

#: Minutes that wait for a database: pages show the last hour, the rest is in the quarter hours.
KEPT_MINUTES = timedelta(hours=1)
_NOTHING = Traffic()


@dataclass(frozen=True, slots=True)
class Heard:
    """What came by one Topic Filter since the last time, and how it stands."""

    subscription_id: int
    messages_in: int
    last_message_at: datetime | None
    #: Since when an expected message is overdue.
    quiet_since: datetime | None


@dataclass(slots=True)
class Account:
    """What there is to write of one connection."""

    connection_id: int
    #: Since the worker started.
    traffic: Traffic = _NOTHING
    #: Since the last time, where anything was counted.
    counted: dict[Stretch, Counts] = field(default_factory=dict)
    heard: dict[int, Heard] = field(default_factory=dict)

    def count(self, when: Sequence[Stretch], counts: Counts) -> None:
        """Add `counts` to each of the stretches `when`."""
        for stretch in when:
            known = self.counted.get(stretch)
            if known is None:
                known = self.counted[stretch] = Counts()
                self._forget_before(stretch.starts_at - KEPT_MINUTES)
            known.add(counts)

    def _forget_before(self, moment: datetime) -> None:
        minutes = [each for each in self.counted if each.seconds == MINUTE]
        for stretch in minutes:
            if stretch.starts_at < moment:
                del self.counted[stretch]

    def hear(self, news: Sequence[Heard]) -> None:
        """Put `news` of Topic Filters to what is known of them."""
        for each in news:
            before = self.heard.get(each.subscription_id)
            self.heard[each.subscription_id] = each if before is None else _joined(before, each)


@dataclass(slots=True)
class Page:
    """Accounts that are written in one transaction, all or none."""

    accounts: Sequence[Account]
    #: Set at the first try: tells a COMMIT that was not answered from one that did not happen.
    number: int | None = None


def _joined(before: Heard, after: Heard) -> Heard:
    return Heard(
        after.subscription_id,
        before.messages_in + after.messages_in,
        after.last_message_at or before.last_message_at,
        after.quiet_since,
    )
