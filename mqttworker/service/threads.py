"""The one way to the database: nothing on the hub's own thread may block."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gevent

P = ParamSpec("P")
T = TypeVar("T")


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `function(...)`, run in the hub's thread pool while other greenlets go on."""
    result: T = gevent.get_hub().threadpool.apply(function, args, kwargs)
    return result
