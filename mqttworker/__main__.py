"""`python -m mqttworker`: the entry of the worker process."""

from __future__ import annotations

import contextlib
import logging
import os
import sys

from database import logs
from database.settings import ignored, load
from mqttworker.adapters import hub_errors, log_writer, process, tls
from mqttworker.adapters.signals import on_continue, on_stop_signal
from mqttworker.service.service import MQTTService
from mqttworker.settings import WorkerSettings
from ops import standard_streams


def main() -> int:
    """Run the service until it is told to stop; return the exit code."""
    standard_streams.open_missing()
    os.umask(0o077)
    settings = load(WorkerSettings)
    logs.configure(settings.log_level, settings.log_format)
    if (words := ignored()) is not None:
        logging.getLogger(__name__).warning(words)
    log_writer.install()
    hub_errors.log_them()
    process.show_stacks_when_dying()
    process.raise_file_limit()
    tls.shrink_buffers()
    process.favour_the_hub()
    process.settle_memory()
    service = MQTTService(settings)
    on_stop_signal(service.ask_to_stop)
    on_continue(service.look_after_a_freeze)
    return service.run()


def leave(code: int) -> None:
    """End the process now.

    All is written and closed by then; taking thousands of clients apart object by
    object, or waiting for a thread that a database keeps, would only cost time.
    """
    logging.shutdown()
    # Whoever read the log may be gone.
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
