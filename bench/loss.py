"""Kill the worker and its database at random moments under load: is an acknowledged message lost?

The exit status is 1 if one is, if a row is not byte-exact, or if a duplicate has no cause.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from bench import loss_trial, stores
from bench.connect import positive
from bench.loss_trial import Outcome, Plan
from bench.mosquitto import executable

LINES = {
    "messages": "messages published",
    "worker_kills": "kills of the worker",
    "kills_in_flight": "of these with messages in flight",
    "database_kills": "kills of the database",
    "acknowledged": "messages acknowledged",
    "stored": "messages stored",
    "lost": "acknowledged and lost",
    "spoilt": "rows that are not byte-exact",
    "duplicates": "rows of a message that the broker sent twice",
    "unexplained": "duplicates without a cause",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `loss` can be told."""
    add = parser.add_argument
    add("--database", choices=[*stores.KINDS, "both"], default="both")
    add("--kills", type=positive, default=200, metavar="N", help="of the worker")
    add("--messages", type=positive, default=1_000_000, metavar="N")
    add("--interval", type=float, default=2.5, metavar="SECONDS", help="between kills, on average")
    add("--seed", type=int, help="repeat the moments of an earlier run")
    add("--json", action="store_true", help="print the figures as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run the trial on each database and print; return 0 if nothing was lost."""
    kinds = stores.KINDS if arguments.database == "both" else (arguments.database,)
    if problem := _obstacle(kinds):
        sys.stderr.write(f"bench: {problem}\n")
        return 1
    seed = secrets.randbits(32) if arguments.seed is None else arguments.seed
    outcomes = {kind: _trial(kind, arguments, seed) for kind in kinds}
    if arguments.json:
        report = {kind: asdict(outcome) for kind, outcome in outcomes.items()}
        print(json.dumps({"seed": seed, **report}, indent=2))
    else:
        print("\n\n".join(_as_text(kind, outcome) for kind, outcome in outcomes.items()))
        print(f"\nseed {seed}")
    return 1 if any(outcome.problems for outcome in outcomes.values()) else 0


def _obstacle(kinds: tuple[str, ...]) -> str | None:
    if executable() is None:
        return "mosquitto is not installed (Debian: mosquitto)"
    return next(filter(None, map(stores.why_not, kinds)), None)


def _trial(kind: str, arguments: argparse.Namespace, seed: int) -> Outcome:
    sys.stderr.write(f"{kind}: {arguments.kills} kills\n")
    database_kills = arguments.kills // 4 if kind == "postgresql" else 0
    plan = Plan(kind, arguments.kills, database_kills, arguments.messages, arguments.interval, seed)
    with tempfile.TemporaryDirectory(prefix="hawser-bench-") as name:
        return loss_trial.run(plan, Path(name))


def _as_text(kind: str, outcome: Outcome) -> str:
    lines = [f"{kind}, {outcome.seconds:.0f} s"]
    lines += [f"{words:46}{getattr(outcome, key):12,}" for key, words in LINES.items()]
    return "\n".join(lines) + "".join(f"\nnote: {words}" for words in outcome.problems)
