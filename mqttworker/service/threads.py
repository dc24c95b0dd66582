"""The one way to the database: nothing on the hub's own thread may block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, ParamSpec, TypeVar

import gevent
from gevent.lock import BoundedSemaphore
from gevent.threadpool import ThreadPool

from mqttworker.adapters.hub_turn import yield_to_hub

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `function(...)`, run in the hub's thread pool while other greenlets go on."""
    return _in_pool(gevent.get_hub().threadpool, function, *args, **kwargs)


class OwnThread:
    """A thread for one kind of work, which never waits behind any other."""

    def __init__(self) -> None:
        self._pool = ThreadPool(1)

    def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(...)`, run in this thread while other greenlets go on."""
        return _in_pool(self._pool, function, *args, **kwargs)


class ThreadShare:
    """At most `number` threads of the hub's pool, for work of which there may be very much."""

    def __init__(self, number: int) -> None:
        self._free = BoundedSemaphore(number)

    def do(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return `function(...)`, run in a thread when there is one in this share."""
        with self._free:
            return in_thread(function, *args, **kwargs)


def _in_pool(pool: Any, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    result, error = pool.apply(_attempt, (function, args, kwargs))
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _attempt(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, BaseException | None]:
    """Carry an error over as a value: the pool would print the traceback of a raised one."""
    try:
        return function(*args, **kwargs), None
    except BaseException as error:  # noqa: BLE001 - raised again by the caller
        return None, error


def in_turns(items: Iterable[T], size: int) -> Iterator[T]:
    """Yield `items`; after each `size` of them others have their turn."""
    for number, item in enumerate(items, 1):
        yield item
        if number % size == 0:
            yield_to_hub()


class InOrder:
    """Does pieces of work one after the other, each to its end.

    A caller that is told to stop leaves at once, but its work goes on: what was on its
    way to the database must not arrive after what comes next, or be taken for lost.
    """

    def __init__(self) -> None:
        self._turn = BoundedSemaphore()

    def do(self, work: Callable[[], T]) -> T:
        """Return `work()`, which may raise."""
        result, error = gevent.spawn(_attempt, self._in_turn, (work,), {}).get()
        if error is not None:
            raise error
        return result  # type: ignore[no-any-return]

    def _in_turn(self, work: Callable[[], T]) -> T:
        with self._turn:
            return work()
