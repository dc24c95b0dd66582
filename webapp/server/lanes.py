"""Which threads answer a request: those of one lane never wait for those of another.

However many pages wait for a lock and however many downloads are under way, whoever watches this
product from outside gets an answer.
"""

from __future__ import annotations

from enum import Enum, auto

from webapp.front.downloads import is_download
from webapp.front.path_prefix import is_prefix
from webapp.store import (
    THREADS_OF_DOWNLOADS,
    THREADS_OF_HEALTH,
    THREADS_OF_PAGES,
    THREADS_OF_UPLOADS,
)


class Lane(Enum):
    """Requests that share threads."""

    #: Asks nothing and nobody.
    LIVENESS = auto()
    #: Asks the database.
    HEALTH = auto()
    #: Large bodies, each read by a thread that waits for it.
    UPLOADS = auto()
    #: Files. One thread makes a piece of each in turn: two that compute would keep Python's lock
    #: from everybody else.
    DOWNLOADS = auto()
    PAGES = auto()


THREADS = {
    Lane.LIVENESS: 2,
    Lane.HEALTH: THREADS_OF_HEALTH,
    Lane.UPLOADS: THREADS_OF_UPLOADS,
    Lane.DOWNLOADS: THREADS_OF_DOWNLOADS,
    Lane.PAGES: THREADS_OF_PAGES,
}
#: Requests that wait for a thread of one lane; more are answered with 503. Files cost much: a
#: crowd that asks for them must not keep the processor from the others.
MOST_WAITING = dict.fromkeys(Lane, 400) | {Lane.UPLOADS: 16, Lane.DOWNLOADS: 16}
_LIVENESS = ("/livez",)
_HEALTH = ("/readyz", "/api/v1/mqtt/health")


def choose(path: str, *, is_large: bool) -> Lane:
    """Return the lane of a request for `path`; `is_large`: with a large body."""
    plain = path.rstrip("/")
    if is_large:
        return Lane.UPLOADS
    if is_download(path):
        return Lane.DOWNLOADS
    if any(_is(plain, each) for each in _LIVENESS):
        return Lane.LIVENESS
    if any(_is(plain, each) for each in _HEALTH):
        return Lane.HEALTH
    return Lane.PAGES


def _is(path: str, own: str) -> bool:
    """Whether `path` is the address `own`, perhaps below the path that a proxy shows us at."""
    below = path.removesuffix(own)
    return below != path and (not below or is_prefix(below))
