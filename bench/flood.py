"""Flood one connection with messages and look at its neighbours, the memory and the count.

At QoS 0 what is stored and what was dropped must be all that was sent, to the last message; at
QoS 1 all must be stored. The exit status is 1 if not, or when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench import stores
from bench.connect import positive
from bench.flood_report import Outcome, as_text
from bench.flood_trial import Plan, trial
from bench.mosquitto import executable


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `flood` can be told."""
    add = parser.add_argument
    add("--database", choices=[*stores.KINDS, "both"], default="both")
    add("--seconds", type=float, default=60.0, help="how long each flood lasts")
    add("--qos0", type=positive, default=50_000, metavar="N", help="messages a second")
    add("--qos1", type=positive, default=10_000, metavar="N", help="messages a second")
    add("--neighbours", type=positive, default=20, metavar="N")
    add("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Measure and print; return 0 if every target was met."""
    kinds = stores.KINDS if arguments.database == "both" else (arguments.database,)
    if problem := _obstacle(kinds):
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    plans = [
        Plan(kind, qos, rate, arguments.seconds, arguments.neighbours)
        for kind in kinds
        for qos, rate in ((0, arguments.qos0), (1, arguments.qos1))
    ]
    outcomes = [_measure(plan) for plan in plans]
    missed = [problem for outcome in outcomes for problem in outcome.problems]
    if arguments.json:
        samples = [asdict(outcome) for outcome in outcomes]
        print(json.dumps({"samples": samples, "missed": missed}, indent=2))
    else:
        print(as_text(outcomes, missed))
    return 1 if missed else 0


def _measure(plan: Plan) -> Outcome:
    sys.stderr.write(f"{plan.database}: QoS {plan.qos}, {plan.rate} messages/s\n")
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name:
        return trial(plan, Path(name))


def _obstacle(kinds: tuple[str, ...]) -> str | None:
    if executable() is None:
        return "mosquitto is not installed (Debian: mosquitto)"
    return next(filter(None, map(stores.why_not, kinds)), None)
