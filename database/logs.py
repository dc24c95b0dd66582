"""Logging for both processes: structlog over the standard library, to stdout only.

One line an event, JSON unless stdout is a terminal. Values are escaped by the
renderer, so nothing from outside can forge a line.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal

import structlog

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
    renderer: Any = structlog.dev.ConsoleRenderer() if console else _json()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # It tells of every look at the schema.
    logging.getLogger("alembic").setLevel(logging.WARNING)


def _json() -> structlog.processors.JSONRenderer:
    return structlog.processors.JSONRenderer(ensure_ascii=True)


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
