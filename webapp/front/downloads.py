"""Files that are made while they are sent: at most a few of one account at once.

Each keeps a part of the file in memory for as long as its browser takes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from threading import Lock
from typing import Any

from flask import Flask, Response, abort, current_app, g, request
from flask_babel import gettext as _
from flask_security import current_user

from webapp.wording import texts

#: Downloads of one account at the same time.
AT_ONCE = 3
#: How the addresses of files end.
_ADDRESSES = ("/export", "/export.json", "/payload")


class Downloads:
    """How many files each account is being sent."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: Counter[int] = Counter()

    def begin(self, account: int) -> Callable[[], None] | None:
        """Count one more; return what ends it, None where there are enough."""
        with self._lock:
            if self._running[account] >= AT_ONCE:
                return None
            self._running[account] += 1
        last = [account]
        return lambda: self._end(last)

    def _end(self, last: list[int]) -> None:
        with self._lock:
            if last:
                self._running[last.pop()] -= 1
                # Accounts without a download take no room.
                self._running += Counter()


def configure(app: Flask) -> None:
    """Count the downloads of every request; call it after the door."""
    app.extensions["hawser-downloads"] = Downloads()
    app.before_request(_begin)
    app.after_request(_end_once_sent)
    app.teardown_request(_end_unsent)


def is_download(path: str) -> bool:
    """Whether `path` is the address of a file that is made while it is sent."""
    return path.rstrip("/").endswith(_ADDRESSES)


def _begin() -> None:
    if not is_download(request.path) or not current_user.is_authenticated:
        return
    end = current_app.extensions["hawser-downloads"].begin(current_user.id)
    if end is None:
        number = texts.number(AT_ONCE)
        abort(429, _("%(number)s downloads of yours are still running.", number=number))
    g.end_download = end


def _end_once_sent(response: Response) -> Response:
    if response.is_streamed and (end := g.pop("end_download", None)) is not None:
        response.response = _until_sent(response.response, end)
        # For one that nobody has begun to read.
        response.call_on_close(end)
    return response


def _until_sent(pieces: Iterable[Any], end: Callable[[], None]) -> Iterator[Any]:
    try:
        yield from pieces
    finally:
        end()


def _end_unsent(_error: BaseException | None) -> None:
    """Count one less where no file came of the request."""
    if (end := g.pop("end_download", None)) is not None:
        end()
