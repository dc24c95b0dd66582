"""What `bench flood` measured, judged and written down."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.table import Row, render

#: The targets: memory, MB, and the longest stall of the hub, milliseconds.
PEAK_MB, HUB_LAG_MS = 512.0, 1_000.0
#: A flood that reached less of its rate does not show what it should.
REACHED = 0.95


@dataclass(frozen=True, slots=True)
class Outcome:
    """One flood."""

    database: str
    qos: int
    #: Messages a second that were wanted, and that the connection's socket took.
    rate: int
    reached_rate: float
    sent: int
    stored: int
    #: As `connection_status` counts them, set aside ones too.
    dropped: int
    #: Rows that are not byte for byte what was sent; at QoS 1 also messages that do not
    #: have as many rows as they were sent.
    wrong: int
    #: Neighbours whose session did not last, and their messages that are not stored once.
    neighbours_lost: int
    neighbours_wrong: int
    #: From PUBLISH to receipt, the slowest of 99 of 100 messages of the neighbours.
    neighbours_ms: float
    hub_lag_ms: float
    peak_mb: float
    cpu_s: float

    @property
    def problems(self) -> list[str]:
        """Say which targets were missed."""
        wrong = {
            "messages are neither stored nor counted as dropped": self.sent
            - self.stored
            - self.dropped,
            "messages of QoS 1 were dropped": self.dropped * self.qos,
            "rows are not what was sent": self.wrong,
            "neighbours lost their session": self.neighbours_lost,
            "messages of neighbours are not stored once": self.neighbours_wrong,
        }
        found = [f"{count} {words}" for words, count in wrong.items() if count]
        if self.reached_rate < REACHED * self.rate:
            found.append(f"only {self.reached_rate:,.0f} messages/s were sent")
        if self.peak_mb > PEAK_MB:
            found.append(f"{self.peak_mb:.0f} MB of memory, more than {PEAK_MB:g} MB")
        if self.hub_lag_ms > HUB_LAG_MS:
            found.append(f"the hub was late by {self.hub_lag_ms:.0f} ms")
        return [f"{self.title}: {words}" for words in found]

    @property
    def title(self) -> str:
        """The head of a column."""
        return f"QoS {self.qos}, {self.database}"


ROWS = [
    Row("messages/s wanted", "rate", "{:,.0f}"),
    Row("messages/s sent", "reached_rate", "{:,.0f}"),
    Row("sent", "sent", "{:,.0f}"),
    Row("stored", "stored", "{:,.0f}"),
    Row("dropped and counted", "dropped", "{:,.0f}"),
    Row("not what was sent", "wrong", "{:.0f}"),
    Row("neighbours' sessions lost", "neighbours_lost", "{:.0f}"),
    Row("neighbours' messages not stored once", "neighbours_wrong", "{:.0f}"),
    Row("99 % of these received after", "neighbours_ms", "{:.0f} ms"),
    Row("hub lag, longest", "hub_lag_ms", "{:.0f} ms"),
    Row("peak memory", "peak_mb", "{:.0f} MB"),
    Row("CPU", "cpu_s", "{:.1f} s"),
]


def as_text(outcomes: Sequence[Outcome], notes: Sequence[str]) -> str:
    """Return one table: every flood is a column."""
    columns = {}
    for outcome in outcomes:
        values = asdict(outcome)
        columns[outcome.title] = {row.key: values[row.key] for row in ROWS}
    title = f"{os.cpu_count()} CPUs, Python {platform.python_version()}"
    return f"{title}\n{render(ROWS, columns)}" + "".join(f"\nnote: {note}" for note in notes)
