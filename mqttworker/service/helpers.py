"""The helper greenlets of the service. If one dies the process ends: nothing limps on."""

from __future__ import annotations

from collections.abc import Callable

import gevent
import structlog
from sqlalchemy.exc import SQLAlchemyError

from database import connect_error
from mqttworker.ports.store import LeaseLostError

log = structlog.get_logger(__name__)


class Helpers:
    """Starts helpers, watches them, and ends them together.

    `on_death(reason)` is called once for each helper that ends by itself.
    """

    def __init__(self, on_death: Callable[[str], object]) -> None:
        self._on_death = on_death
        self._greenlets: list[gevent.Greenlet[..., None]] = []
        self._is_ending = False

    def spawn(self, name: str, run: Callable[[], None]) -> None:
        """Start a helper that is meant to run for ever."""
        greenlet = gevent.spawn(run)
        self._greenlets.append(greenlet)
        self.watch(name, greenlet)

    def every(
        self, name: str, interval: float, work: Callable[[], object], *, at_once: bool = True
    ) -> None:
        """Start a helper that does `work` every `interval` seconds, the first time `at_once`.

        A database that does not answer is waited for; anything else ends the helper.
        """

        def run() -> None:
            told: str | None = None
            if not at_once:
                gevent.sleep(interval)
            while True:
                told = _attempt(name, work, told)
                gevent.sleep(interval)

        self.spawn(name, run)

    def watch(self, name: str, greenlet: gevent.Greenlet[..., None]) -> None:
        """Treat the death of `greenlet` like that of a helper; `end` leaves it alone."""
        greenlet.name = name
        greenlet.link(self._ended)

    def end(self) -> None:
        """End all helpers and wait for them."""
        self._is_ending = True
        gevent.killall(self._greenlets)

    def _ended(self, greenlet: gevent.Greenlet[..., None]) -> None:
        if not self._is_ending:
            self._on_death(f"{greenlet.name} ended: {greenlet.exception!r}")


def _attempt(name: str, work: Callable[[], object], told: str | None) -> str | None:
    """Do `work` once; return how the database failed it, logged if that is not what was `told`."""
    try:
        work()
    except SQLAlchemyError as error:
        said = connect_error.words(error)
        if said != told:
            log.error("the database does not answer", task=name, error=said)
        return said
    except LeaseLostError:
        # The lease keeper finds out by itself and decides.
        return None
    if told is not None:
        log.info("the database answers again", task=name)
    return None
