"""Standard input, output and error, whatever whoever started the program made of them.

One may be closed: then a file that is opened later gets its number, and what the program
writes lands there. One may lead to a reader that is gone, or to a full disk.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

_MODES = {"stdin": "r", "stdout": "w", "stderr": "w"}
#: Exit status of a program that nobody reads any more, as shells report it.
NO_READER = 128 + signal.SIGPIPE
#: The streams that were closed when this program started.
_missing: set[str] = set()


def run(main: Callable[[], int]) -> NoReturn:
    """End the process with the status of `main`; a reader of its output that left is no error."""
    open_missing()
    try:
        sys.exit(main())
    except BrokenPipeError:
        sys.exit(NO_READER)
    finally:
        _flush()


def open_missing(*, for_children: bool = False) -> None:
    """Replace a stream that is closed by one that reads and writes nothing.

    `for_children`: in the programs that this one starts, or becomes, too. Ours do so themselves.
    """
    for number, (name, mode) in enumerate(_MODES.items()):
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        opened = os.open(os.devnull, os.O_RDWR)
        if opened != number:
            os.dup2(opened, number)
            os.close(opened)
        os.set_inheritable(number, for_children)
        setattr(sys, name, os.fdopen(number, mode, closefd=False))
        _missing.add(name)


def was_closed(name: str) -> bool:
    """Return whether `stdin`, `stdout` or `stderr` was closed when this program started."""
    return name in _missing or getattr(sys, name) is None


def _flush() -> None:
    """Write out what is left; end the process if that fails, with a sentence if it is lost."""
    try:
        sys.stdout.flush()
    except OSError as error:
        _silence(1)
        if isinstance(error, BrokenPipeError):
            sys.exit(NO_READER)
        with contextlib.suppress(OSError):
            sys.stderr.write(f"hawser: standard output cannot be written ({error.strerror})\n")
        sys.exit(1)
    finally:
        try:
            sys.stderr.flush()
        except OSError:
            _silence(2)


def _silence(number: int) -> None:
    """Lead a stream nowhere: Python writes out what is left once more at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
