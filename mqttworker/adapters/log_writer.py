"""Writes the log from a thread: whoever reads it may stop reading, the hub must not stop.

A terminal that is held, a pager, a full disk behind a pipe: a write to stdout can block
for ever, and with it everything that the hub does.
"""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

#: Lines kept while nobody reads; later ones are counted and dropped.
MAX_LINES = 10_000
#: How long the last lines may take when the process ends, seconds.
LAST_LINES = 1.0


def install() -> None:
    """Let the root logger write from a thread; `logging.shutdown` waits for the last lines."""
    LogWriter(logging.getLogger())


class LogWriter(logging.Handler):
    """Takes the place of the handlers of a logger and writes through the first of them."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__()
        (self._output,) = logger.handlers
        self._lines: SimpleQueue[logging.LogRecord | None] = SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)
        self._thread.start()
        # The line is made here, where its values are what they are now.
        self.setFormatter(self._output.formatter)
        self._output.setFormatter(None)
        logger.handlers[:] = [self]

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line; never waits."""
        if self._lines.qsize() >= MAX_LINES:
            self._dropped += 1
            return
        self._lines.put(self._finished(record))

    def flush(self) -> None:
        """Let the last lines out, as far as somebody reads them."""
        self._lines.put(None)
        self._thread.join(LAST_LINES)

    def _finished(self, record: logging.LogRecord) -> logging.LogRecord:
        line = self.format(record)
        return logging.LogRecord(
            record.name, record.levelno, record.pathname, record.lineno, line, None, None
        )

    def _write(self) -> None:
        while (record := self._lines.get()) is not None:
            self._output.handle(record)
            if self._dropped and self._lines.empty():
                dropped, self._dropped = self._dropped, 0
                logging.getLogger(__name__).warning("%d lines were dropped", dropped)
