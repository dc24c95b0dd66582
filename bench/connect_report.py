"""What the connect benchmark measured, as a table and as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from dataclasses import asdict, dataclass

from bench.table import Row, render


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of one contestant measured."""

    contestant: str
    connections: int
    #: Seconds from the first try to the last CONNACK, as the process itself tells.
    connect_s: float | None
    #: Seconds from the first TCP connection until the broker had accepted every client. A
    #: process that sends all its CONNECTs before it reads a CONNACK looks better here.
    broker_connect_s: float
    #: Seconds from the start of the process until then.
    start_s: float
    rss_kb_per_connection: float
    #: Percent of one core while nothing happens but keepalives.
    cpu_idle_percent: float
    #: Seconds from SIGTERM to the end of the process.
    stop_s: float
    exit_status: int
    #: Connections that ended before SIGTERM, and CONNECTs beyond one a client.
    lost: int
    repeated_connects: int
    hub_lag_ms: float | None


ROWS = [
    Row("first try to last CONNACK", "connect_s", "{:.2f} s"),
    Row("the same as the broker saw it", "broker_connect_s", "{:.2f} s"),
    Row("process start to all connected", "start_s", "{:.2f} s"),
    Row("memory a connection", "rss_kb_per_connection", "{:.1f} KB"),
    Row("CPU while idle", "cpu_idle_percent", "{:.1f} %"),
    Row("SIGTERM to exit", "stop_s", "{:.2f} s"),
    Row("exit status", "exit_status", "{:.0f}"),
    Row("connections lost", "lost", "{:.0f}"),
    Row("repeated connects", "repeated_connects", "{:.0f}"),
    Row("longest stall of the hub", "hub_lag_ms", "{:.0f} ms"),
]

RATIOS = {
    "connect_s": "first try to last CONNACK",
    "broker_connect_s": "the same as the broker saw it",
}


def problems(sample: Sample) -> list[str]:
    """Say what makes a sample worthless: it measured a contestant that failed."""
    found = []
    if sample.exit_status != 0:
        found.append(f"{sample.contestant} ended with {sample.exit_status}")
    if sample.lost or sample.repeated_connects:
        found.append(f"{sample.contestant} lost connections while it was measured")
    return found


def as_text(samples: list[Sample], notes: list[str], connections: int, runs: int) -> str:
    """Return the medians as a table."""
    title = (
        f"{connections:,} connections to a private mosquitto: will, clean session, "
        f"keepalive 5 s; median of {runs}; {os.cpu_count()} CPUs, "
        f"Python {platform.python_version()}"
    )
    columns = {
        name: {row.key: _median(samples, name, row.key) for row in ROWS}
        for name in dict.fromkeys(sample.contestant for sample in samples)
    }
    lines = [title, "", render(ROWS, columns)]
    for key, words in RATIOS.items():
        if ratio := _ratio(samples, key):
            lines += ["", f"worker / bare gmqtt, {words}: {ratio:.2f}"]
    return "\n".join(lines + [f"note: {note}" for note in notes])


def as_json(samples: list[Sample], notes: list[str]) -> dict[str, object]:
    """Return every sample and what it was measured on."""
    return {
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "worker_to_bare_gmqtt": _ratio(samples, "connect_s"),
        "worker_to_bare_gmqtt_at_broker": _ratio(samples, "broker_connect_s"),
        "samples": [asdict(sample) for sample in samples],
        "notes": notes,
    }


def _median(samples: list[Sample], name: str, key: str) -> float | None:
    values = [getattr(sample, key) for sample in samples if sample.contestant == name]
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _ratio(samples: list[Sample], key: str) -> float | None:
    worker = _median(samples, "worker", key)
    bare = _median(samples, "bare gmqtt", key)
    return worker / bare if worker and bare else None
