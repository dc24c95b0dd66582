"""A set-up that waits for its database, and says why: once, and again when that changes."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from database import readiness
from webapp import setup_lock, setup_trouble
from webapp.setup_trouble import Trouble


@dataclass
class Attempts:
    """Tries `work` on the database of `engine` until it succeeds.

    Ends the process with one sentence at trouble that does not pass, unless `keep_trying`.
    """

    engine: Engine
    home: Path
    say: Callable[[str], object]
    keep_trying: bool = False
    #: The words of the last obstacle, and what was said of it.
    _words: str | None = None
    _told: Trouble | None = None

    def run(self, work: Callable[[], object]) -> None:
        """Return once `work` has succeeded."""
        while (trouble := self._attempt(work)) is not None:
            if not trouble.passes and not self.keep_trying:
                sys.exit(f"hawser: {trouble.sentence}")
            if trouble != self._told:
                self.say(f"hawser: waiting for the database. {trouble.sentence}")
            self._told = trouble
            time.sleep(readiness.RETRY_INTERVAL)

    def _attempt(self, work: Callable[[], object]) -> Trouble | None:
        found = readiness.obstacle(self.engine)
        if found is not None:
            # A server that says the same is not asked for more again.
            is_new = self._told is None or found.words != self._words
            self._words = found.words
            return setup_trouble.of_obstacle(self.engine, found) if is_new else self._told
        self._words = None
        try:
            with setup_lock.lock(self.engine, self.say):
                work()
        except Exception as error:  # noqa: BLE001 - whatever it is becomes one sentence
            return setup_trouble.of_error(self.engine, error, self.home)
        return None
