"""What `bench ingest` measured, judged and written down."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from bench.table import Row, render

#: The most messages that MQTT lets be in flight.
PROTOCOL_LIMIT = 65_535
#: The worker's targets, messages a second.
RATES = {"sqlite": 15_000, "postgresql": 20_000}
#: How many times as fast as paho: with one connection, and with many.
OVER_PAHO, OVER_PAHO_MANY, MANY = 1.5, 3.0, 50
#: The share of `mosquitto_sub`'s rate, which stores nothing.
SHARE_OF_SUB = 0.6
HUB_LAG_MS = 250.0


@dataclass(frozen=True, slots=True)
class Sample:
    """How one taker did. Rates are messages a second, from the first PUBLISH on."""

    taker: str
    #: None where nothing is stored.
    database: str | None
    connections: int
    in_flight: int
    messages: int
    #: Until the last commit, or the last message read where nothing is stored.
    rate: float
    #: How fast the publisher was meanwhile.
    published_rate: float
    #: Messages that the broker sends once more to the session that took them; None for
    #: mosquitto_sub, which leaves before its last PUBACKs are sent.
    unacknowledged: int | None
    #: Messages without a row, rows that are not whole, and rows too many.
    missing: int = 0
    spoilt: int = 0
    extra: int = 0
    #: Of the taker's process, over the measurement: `cpu_s`, `peak_mb`, `hub_lag_ms`.
    usage: Mapping[str, float] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """The head of a column."""
        return f"{self.taker}, {self.database}" if self.database else self.taker


ROWS = [
    Row("messages/s", "rate", "{:,.0f}"),
    Row("published/s meanwhile", "published_rate", "{:,.0f}"),
    Row("not stored", "missing", "{:.0f}"),
    Row("not byte-exact", "spoilt", "{:.0f}"),
    Row("stored twice", "extra", "{:.0f}"),
    Row("not acknowledged", "unacknowledged", "{:.0f}"),
    Row("CPU", "cpu_s", "{:.2f} s"),
    Row("peak memory", "peak_mb", "{:.0f} MB"),
    Row("hub lag, longest", "hub_lag_ms", "{:.0f} ms"),
]


def problems(samples: Sequence[Sample]) -> list[str]:
    """Say which targets the worker missed."""
    workers = [sample for sample in samples if sample.taker == "worker"]
    return [f"{_place(each)}: {words}" for each in workers for words in _missed(each, samples)]


def lost(samples: Sequence[Sample]) -> list[str]:
    """Say what anybody lost."""
    return [f"{_place(sample)}: {words}" for sample in samples for words in _lost(sample)]


def medians(samples: Sequence[Sample]) -> list[Sample]:
    """Return of all runs of the same the one whose rate is the median, the lower of two."""
    runs: dict[str, list[Sample]] = {}
    for sample in samples:
        runs.setdefault(_place(sample), []).append(sample)
    ordered = (sorted(same, key=lambda sample: sample.rate) for same in runs.values())
    return [same[(len(same) - 1) // 2] for same in ordered]


def _place(sample: Sample) -> str:
    return f"{sample.title}, {sample.connections} connections, {sample.in_flight} in flight"


def _lost(sample: Sample) -> Iterator[str]:
    wrong = {
        "messages are not stored": sample.missing,
        "rows are not byte-exact": sample.spoilt,
        "messages are not acknowledged": sample.unacknowledged,
        "rows are too many": sample.extra,
    }
    yield from (f"{count} {words}" for words, count in wrong.items() if count)


def _missed(sample: Sample, samples: Sequence[Sample]) -> Iterator[str]:
    if (lag := sample.usage.get("hub_lag_ms", 0.0)) > HUB_LAG_MS:
        yield f"the hub was late by {lag:.0f} ms, more than {HUB_LAG_MS:g} ms"
    if sample.in_flight < PROTOCOL_LIMIT or sample.database is None:
        return  # then the broker is the limit
    if sample.rate < (target := RATES[sample.database]):
        yield f"{sample.rate:,.0f} messages/s, less than {target:,}"
    factor = OVER_PAHO_MANY if sample.connections >= MANY else OVER_PAHO
    for title, ratio in ratios(sample, samples).items():
        least = factor if title == "x paho" else SHARE_OF_SUB
        if ratio < least:
            yield f"{ratio:.2f} {title}, less than {least:g}"


def ratios(sample: Sample, samples: Sequence[Sample]) -> dict[str, float]:
    """Return how many times as fast a sample is as the others in the same place."""
    found = {}
    for other in samples:
        same = (other.connections, other.in_flight) == (sample.connections, sample.in_flight)
        if same and other.taker == "paho" and other.database == sample.database:
            found["x paho"] = sample.rate / other.rate
        if same and other.taker == "mosquitto_sub":
            found["x mosquitto_sub"] = sample.rate / other.rate
    return found


def as_text(samples: Sequence[Sample], ceiling: float, notes: Sequence[str]) -> str:
    """Return one table for each number of connections and of messages in flight."""
    parts = [
        f"{samples[0].messages:,} messages of 100 bytes, QoS 1, in each measurement; "
        f"medians of all runs; {os.cpu_count()} CPUs for everything, "
        f"Python {platform.python_version()}\n"
        f"the publisher alone: {ceiling:,.0f} messages/s into the same mosquitto"
    ]
    for count, in_flight in dict.fromkeys((s.connections, s.in_flight) for s in samples):
        chosen = [s for s in samples if (s.connections, s.in_flight) == (count, in_flight)]
        limit = "no limit" if in_flight >= PROTOCOL_LIMIT else f"{in_flight} of each client"
        parts.append(f"{count} connections, in flight: {limit}")
        parts.append(render(ROWS, {s.title: _column(s) for s in chosen}))
        parts.append("\n".join(_ratio_line(s, samples) for s in chosen if s.taker == "worker"))
    return "\n\n".join(parts) + "".join(f"\nnote: {note}" for note in notes)


def _column(sample: Sample) -> dict[str, float | None]:
    values = {**asdict(sample), **sample.usage}
    return {row.key: values.get(row.key) for row in ROWS}


def _ratio_line(sample: Sample, samples: Sequence[Sample]) -> str:
    found = ratios(sample, samples)
    words = ", ".join(f"{ratio:.2f} {title}" for title, ratio in found.items())
    return f"{sample.title}: {words or 'nothing to compare with'}"
