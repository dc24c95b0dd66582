"""Tells the log of the web when the database cannot be used, and when it can again."""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Thread

import structlog

from database import readiness
from database.session import make_engine
from webapp.settings import WebSettings

log = structlog.get_logger(__name__)

#: Seconds between two looks, whether or not anybody asks for a page.
INTERVAL = 2.0
#: Longest statement of a look, seconds.
STATEMENT_TIMEOUT = 4.0


def start(settings: WebSettings) -> None:
    """Watch the database of `settings` on a thread of its own until the process ends.

    Over a connection of its own: slow pages may hold all the others.
    """
    url = settings.database_url.get_secret_value()
    engine = make_engine(url, pool_size=1, statement_timeout_s=STATEMENT_TIMEOUT)

    def problem() -> str | None:
        return readiness.problem(engine, in_own_words=True)

    Thread(target=_watch, args=(problem,), name="database watch", daemon=True).start()


def _watch(problem: Callable[[], str | None]) -> None:
    reported = None
    while True:
        found = problem()
        if found is not None and found != reported:
            log.warning("waiting for the database", problem=found)
        elif found is None and reported is not None:
            log.info("the database answers again")
        reported = found
        time.sleep(INTERVAL)
