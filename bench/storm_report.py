"""What the storm benchmark measured, judged and written down."""

from __future__ import annotations

import math
import os
import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from bench.table import Row, render

#: The worker's targets, seconds after the broker's return: for 99 of 100 and for all.
MOST_BACK, ALL_BACK = 5.0, 10.0
#: The same for all after a long outage.
ALL_BACK_LONG = 35.0
#: CONNACKs in any 100 ms, and CONNECTs of one Client Identifier in any second.
PEAK_WINDOW, PEAK = 0.1, 50
CONNECTS_A_SECOND = 1
#: An outage as long as this has let every wait grow to its cap, seconds.
LONG_OUTAGE = 30.0

Accepted = Sequence[tuple[float, bytes]]


@dataclass(frozen=True, slots=True)
class Sample:
    """One outage as one contestant met it; times are seconds after the broker's return."""

    contestant: str
    outage_s: float
    connections: int
    back: int
    p50_s: float
    p90_s: float
    p99_s: float
    max_s: float
    #: Most CONNACKs in any 100 ms.
    peak: int
    #: Most CONNECTs of one Client Identifier in any second, as the broker saw them.
    connects_a_second: int
    #: Connections that were accepted more than once.
    repeated: int
    #: Tries that did not become a session; None where it is not known.
    failed_tries: int | None
    #: CPU seconds of the process from the loss until all were back.
    cpu_s: float
    #: The log was looked at this often at least: no moment is later than the truth by more.
    precision_s: float = 0.0


ROWS = [
    Row("back", "back", "{:.0f}"),
    Row("half of them after", "p50_s", "{:.2f} s"),
    Row("90 % after", "p90_s", "{:.2f} s"),
    Row("99 % after", "p99_s", "{:.2f} s"),
    Row("all after", "max_s", "{:.2f} s"),
    Row("most CONNACKs in 100 ms", "peak", "{:.0f}"),
    Row("most CONNECTs a second of a client id", "connects_a_second", "{:.0f}"),
    Row("accepted again", "repeated", "{:.0f}"),
    Row("tries that failed", "failed_tries", "{:.0f}"),
    Row("CPU from loss to return", "cpu_s", "{:.2f} s"),
    Row("moments are late by at most", "precision_s", "{:.3f} s"),
]


def quantile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that `share` of all do not exceed, infinity if there is none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.inf


def most_within(moments: Iterable[float], window: float) -> int:
    """Return the most moments in any stretch of time shorter than `window`."""
    ordered = sorted(moments)
    most = first = 0
    for index, at in enumerate(ordered):
        while at - ordered[first] >= window:
            first += 1
        most = max(most, index - first + 1)
    return most


def connects_a_second(accepted: Accepted) -> int:
    """Return the most CONNECTs of one Client Identifier in any second."""
    return max((most_within(moments, 1.0) for moments in _by_client(accepted)), default=0)


def _by_client(accepted: Accepted) -> list[list[float]]:
    moments = defaultdict(list)
    for at, client in accepted:
        moments[client].append(at)
    return list(moments.values())


def problems(sample: Sample) -> list[str]:
    """Say which targets the worker missed."""
    found = []
    if sample.back < sample.connections:
        found.append(f"only {sample.back} of {sample.connections} came back")
    if sample.outage_s < LONG_OUTAGE:
        if sample.p99_s > MOST_BACK:
            found.append(f"99 % back after {sample.p99_s:.2f} s, more than {MOST_BACK:g} s")
        if sample.max_s > ALL_BACK:
            found.append(f"all back after {sample.max_s:.2f} s, more than {ALL_BACK:g} s")
    elif sample.max_s > ALL_BACK_LONG:
        found.append(f"all back after {sample.max_s:.2f} s, more than {ALL_BACK_LONG:g} s")
    if sample.peak > PEAK:
        found.append(f"{sample.peak} CONNACKs in 100 ms, more than {PEAK}")
    if sample.connects_a_second > CONNECTS_A_SECOND:
        found.append(f"{sample.connects_a_second} CONNECTs of one client id in a second")
    return [f"outage of {sample.outage_s:g} s: {words}" for words in found]


def as_text(samples: Sequence[Sample], notes: Sequence[str]) -> str:
    """Return one table for each outage: every sample is a column."""
    parts = []
    for outage in dict.fromkeys(sample.outage_s for sample in samples):
        chosen = [sample for sample in samples if sample.outage_s == outage]
        names = _names(chosen)
        columns = {name: asdict(sample) for name, sample in zip(names, chosen, strict=True)}
        title = f"{chosen[0].connections:,} connections, broker killed for {outage:g} s"
        parts.append(f"{title}; {os.cpu_count()} CPUs, Python {platform.python_version()}")
        parts.append(render(ROWS, columns))
    return "\n\n".join(parts) + "".join(f"\nnote: {note}" for note in notes)


def _names(samples: Sequence[Sample]) -> list[str]:
    """Return a name for each sample, numbered where a contestant has several."""
    seen: dict[str, int] = defaultdict(int)
    names = []
    for sample in samples:
        seen[sample.contestant] += 1
        number = seen[sample.contestant]
        names.append(sample.contestant if number == 1 else f"{sample.contestant} {number}")
    return names
