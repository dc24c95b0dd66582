"""What gevent says of a greenlet that died of an error, as a line of the log.

By itself it would write lines of its own to stderr, with the arguments of the greenlet: those
are records with their secrets, and texts from outside.
"""

from __future__ import annotations

import logging
from types import TracebackType

import gevent


def log_them() -> None:
    """Let the hub of this thread log such errors."""
    # As gevent proposes: an attribute of the hub in place of the method.
    vars(gevent.get_hub())["print_exception"] = _log


def _log(
    context: object,
    kind: type[BaseException],
    error: BaseException | None,
    trace: TracebackType | None,
) -> None:
    name = getattr(context, "name", None) or type(context).__name__
    told = None if error is None else (kind, error, trace)
    logging.getLogger(__name__).error("greenlet %s ended by an error", name, exc_info=told)
