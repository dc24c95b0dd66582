#!/usr/bin/env python3
"""Set up, run, test and operate Hawser: `python3 manage.py --help`.

The commands live in ops/ and need nothing but the standard library. This file only
checks the Python version; it must parse on every Python, however old, so that the
user reads a sentence and not a syntax error.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - this is the check
    sys.exit("Hawser needs Python 3.11 or newer; this is %d.%d." % sys.version_info[:2])  # noqa: UP031

from ops import standard_streams
from ops.commands import main

if __name__ == "__main__":
    standard_streams.run(lambda: main(sys.argv[1:]))
