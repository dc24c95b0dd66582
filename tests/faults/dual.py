"""`python -m tests.faults.dual [OPERATIONS] [SEED]`: several workers on one database.

Workers are started, killed, stopped, frozen for up to 8 s and thawed at random.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

from database import encryption
from tests.faults.dual_trial import Trial
from tests.support.databases import sqlite_url, upgrade
from tests.support.mosquitto import Mosquitto

#: The longest freeze, seconds; the lease lasts 5.
LONGEST_FREEZE = 8.0


def one_of_each(trial: Trial) -> None:
    """Twelve operations: each kind, done to the owner with somebody standing by."""
    trial.start("a")
    trial.start("b")
    trial.settle()
    trial.kill("a")
    trial.settle()
    trial.start("a")
    trial.freeze("b", LONGEST_FREEZE)
    trial.settle()
    trial.pause(LONGEST_FREEZE - 5.0)
    trial.start("c")
    trial.stop("a")
    trial.settle()
    trial.start("b")
    trial.freeze("c", 3.0)
    trial.pause(4.0)


def at_random(trial: Trial, operations: int, dice: random.Random) -> None:
    """Do whatever is possible, with and without waiting for the outcome."""
    while trial.figures.operations < operations:
        if trial.absent and (len(trial.able) < 2 or dice.random() < 0.2):
            trial.start(dice.choice(trial.absent))
        elif trial.able:
            name = trial.owner if trial.owner and dice.random() < 0.7 else dice.choice(trial.able)
            _harm(trial, name, dice)
        if dice.random() < 0.6:
            trial.settle()
        else:
            trial.pause(dice.uniform(0.0, 2.0))


def _harm(trial: Trial, name: str, dice: random.Random) -> None:
    kind = dice.choice(["kill", "stop", "freeze", "freeze"])
    if kind == "kill":
        trial.kill(name)
    elif kind == "stop":
        trial.stop(name)
    else:
        trial.freeze(name, dice.uniform(0.2, LONGEST_FREEZE))


def main(operations: int, seed: int) -> int:
    """Run one long trial and print its figures; return 1 if anything was wrong."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        url, key = sqlite_url(directory / "hawser.db"), encryption.new_key()
        encryption.configure([key])
        upgrade(url)
        with Mosquitto(directory, extra="log_type all") as mosquitto:
            trial = Trial(directory, url, key, mosquitto)
            try:
                at_random(trial, operations, random.Random(seed))
                figures = trial.end()
            finally:
                trial.clean_up()
    sys.stdout.write("\n".join([f"seed {seed}: {figures}", *figures.wrong]) + "\n")
    return 1 if figures.wrong else 0


if __name__ == "__main__":
    arguments = [int(word) for word in sys.argv[1:]]
    sys.exit(main(*(arguments + [100, 1][len(arguments) :])))
