"""The newest picture of all connections: taken once, for everybody who asks.

One thread takes pictures. With few connections everybody who asks sees what is so at that
moment; a picture serves twice only where the database says that nothing was committed since.
With thousands an asker gets the last one while the next is being taken, so that questions
cost next to nothing however often they come; it is never older than WAIT_AFTER.
"""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from flask import current_app
from sqlalchemy import Connection as Transaction
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoAnswerError

from database import config_version
from webapp import store
from webapp.people import accounts
from webapp.picture import overview, overview_lines, workers
from webapp.picture.overview import Item, Picture
from webapp.picture.workers import Worker
from webapp.settings import WebSettings

#: With so many connections at most, everybody sees what is so when they ask.
FEW = 300
#: With more: age of a picture at which the next one is taken beside, and at which askers
#: wait for that one, seconds.
RENEW_AFTER, WAIT_AFTER = 0.5, 1.5
#: How long an asker waits for the database, seconds.
ANSWER_WITHIN = 3.0


@dataclass(frozen=True, slots=True)
class _Taken:
    """A picture, and when it was taken by the clock of this process."""

    picture: Picture
    at: float
    #: What the database had committed.
    mark: Hashable

    @property
    def age(self) -> float:
        return time.monotonic() - self.at


class Newest:
    """Takes pictures of the database behind `engine`."""

    def __init__(self, engine: Engine, settings: WebSettings) -> None:
        self._engine, self._settings = engine, settings
        self._items = _Items(settings)
        self._thread = ThreadPoolExecutor(1, "picture")
        self._lock = Lock()
        #: A picture that nobody has begun to take yet: all who ask meanwhile wait for this one.
        self._next: Future[_Taken] | None = None
        self._last: _Taken | None = None

    def picture(self, version: int | None = None) -> Picture:
        """Return the newest picture, with the wishes of `version` if that is given.

        Raises SQLAlchemyError, NoAnswerError among others.
        """
        last = self._last
        if last is None or not self._will_do(last, version):
            return self._awaited().picture
        if last.age > RENEW_AFTER:
            self._ask()
        return last.picture

    def _will_do(self, last: _Taken, version: int | None) -> bool:
        if len(last.picture.items) <= FEW or version not in (None, last.picture.version):
            return False
        return last.age <= WAIT_AFTER and not self._fell_silent(last)

    def _fell_silent(self, taken: _Taken) -> bool:
        """Whether the worker of a picture would be silent in one that is taken now."""
        picture = taken.picture
        if picture.worker is None or not picture.live:
            return False
        return picture.worker.age_s + taken.age > self._settings.heartbeat_stale_after

    def _ask(self) -> Future[_Taken]:
        with self._lock:
            if self._next is None:
                self._next = self._thread.submit(self._take)
            return self._next

    def _awaited(self) -> _Taken:
        try:
            return self._ask().result(ANSWER_WITHIN)
        except TimeoutError:
            msg = "the database does not answer"
            raise NoAnswerError(msg) from None

    def _take(self) -> _Taken:
        with self._lock:
            # Who asks from now on wants to know what is so from now on.
            self._next = None
        with store.reading(self._engine) as transaction:
            at, mark, last = time.monotonic(), _mark(transaction), self._last
            if last is not None and last.mark == mark and last.age < RENEW_AFTER:
                return last
            self._last = taken = _Taken(self._read(transaction), at, mark)
        return taken

    def _read(self, transaction: Transaction) -> Picture:
        version = config_version.read(transaction)
        now, found = workers.read(transaction, self._settings)
        items = self._items.of(transaction, found)
        picture = overview.put_together(transaction, now, found, items)
        picture.version, picture.taken_at = version, time.monotonic()
        return picture


class _Items:
    """The connections; an item is the same object for as long as its line is the same."""

    def __init__(self, settings: WebSettings) -> None:
        self._settings = settings
        self._context: Hashable = None
        self._known: dict[str, Item] = {}

    def of(self, transaction: Transaction, found: Sequence[Worker]) -> list[Item]:
        try:
            # What plain SQL wrote may fit into no line.
            with transaction.begin_nested():
                lines = overview_lines.read(transaction)
            items = self._made(lines, workers.choose(found))
        except (DBAPIError, ValueError):
            items = overview.rows(transaction, found, self._settings)
        return sorted(items, key=lambda item: item.id)

    def _made(self, lines: Sequence[str], worker: Worker | None) -> list[Item]:
        if (context := _context(worker)) != self._context:
            self._known.clear()
        known, name = self._known, self._settings.hostname
        self._known = {
            line: known.get(line) or overview.item_of(overview_lines.row(line), worker, name)
            for line in lines
        }
        self._context = context
        return list(self._known.values())


def _context(worker: Worker | None) -> Hashable:
    """Return what of a worker decides how its lines are read."""
    if worker is not None and worker.active:
        return worker.boot_id, worker.started_at
    code, detail = overview.silence(worker)
    return code, *detail.items(), worker and worker.beat_at


def _mark(transaction: Transaction) -> Hashable:
    """Return something that differs as soon as anything has been committed since."""
    if transaction.dialect.name == "postgresql":
        return str(transaction.scalar(text("SELECT pg_current_snapshot()")))
    # One counts what others committed, the other what this connection wrote itself.
    others = transaction.scalar(text("PRAGMA data_version"))
    own = transaction.connection.driver_connection.total_changes  # type: ignore[union-attr]
    return transaction.info.setdefault("hawser-mark", object()), others, own


def age(picture: Picture) -> float:
    """Return how old a picture is, seconds."""
    return max(0.0, time.monotonic() - picture.taken_at) if picture.taken_at else 0.0


def of_app() -> Newest:
    """Return the one of the current application."""
    known = current_app.extensions
    if (found := known.get("hawser-newest")) is None:
        made = Newest(store.engine(), accounts.settings_of_app())
        found = known.setdefault("hawser-newest", made)
    assert isinstance(found, Newest)
    return found
