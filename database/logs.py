"""Logging for both processes: structlog over the standard library, to stdout only.

One line an event, errors that nobody caught included, JSON unless stdout is a terminal. What
has no shape is escaped, by JSON or by `_in_one_line`, so nothing from outside can forge a line
or command a terminal.
"""

from __future__ import annotations

import logging
import sys
import threading
from types import TracebackType
from typing import Any, Literal

import structlog

from database.visible import visible

#: Begins each line of a stack trace on a terminal, which no event does.
TRACE_MARGIN = "    | "
#: Keys whose values never reach a log, whatever the caller passes.
SECRET_KEYS = frozenset({"password", "tls_client_key_pem", "secret_key", "encryption_keys"})


def configure(level: str, form: Literal["auto", "json", "console"]) -> None:
    """Send every log line of this process to stdout, standard library's included."""
    console = form == "console" or (form == "auto" and sys.stdout.isatty())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    renderers: list[Any] = [_in_one_line, structlog.dev.ConsoleRenderer()] if console else [_json()]
    handler = _Handler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                *renderers,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    sys.excepthook = _process_ends
    threading.excepthook = _thread_ends
    # It tells of every look at the schema.
    logging.getLogger("alembic").setLevel(logging.WARNING)


class _Handler(logging.StreamHandler[Any]):
    """Writes lines; nobody can be told that nobody reads them."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)


def _process_ends(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger(__name__).critical(
        "the process ends by an error of its own", exc_info=(kind, error, trace)
    )


def _thread_ends(ended: threading.ExceptHookArgs) -> None:
    if ended.exc_value is not None:
        told = (ended.exc_type, ended.exc_value, ended.exc_traceback)
        logging.getLogger(__name__).critical("a thread ends by an error of its own", exc_info=told)


def _json() -> structlog.processors.JSONRenderer:
    return structlog.processors.JSONRenderer(ensure_ascii=True)


def _in_one_line(_logger: object, _method: str, event: Any) -> Any:
    """Escape what a terminal would obey; only a stack trace has more lines, each with a margin."""
    trace = event.pop("exception", None)
    shown = {visible(str(key)): _text(value) for key, value in event.items()}
    if trace is not None:
        lines = str(trace).split("\n")
        shown["exception"] = "\n".join(TRACE_MARGIN + visible(line) for line in lines)
    return shown


def _text(value: object) -> str:
    return visible(value if isinstance(value, str) else repr(value))


def _mask(_logger: object, _method: str, event: Any) -> Any:
    for key in SECRET_KEYS & event.keys():
        event[key] = "***"
    return event


_SHARED: list[Any] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _mask,
]
