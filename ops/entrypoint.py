"""`python -m ops.entrypoint COMMAND ...`: prepare what a container may lack, become COMMAND.

supervisord refuses to start where it cannot raise the limit of open files, and its programs
do not start where standard output cannot be opened by name; container engines differ in both.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from ops import listening, output, private_files, standard_streams, surroundings
from ops.bind_address import DEFAULT_BIND
from ops.errors import CommandError


def main(command: list[str]) -> NoReturn:
    """Replace this process, so that COMMAND is the container's main process."""
    standard_streams.open_missing(for_children=True)
    private_files.keep_new_files_private()
    try:
        # supervisord reads it as it stands, the programs may stand elsewhere.
        os.environ["HAWSER_HOME"] = str(surroundings.home_directory(None))
        surroundings.check_for_supervisord(os.environ)
        surroundings.check_gunicorn(os.environ)
        listening.addresses(os.environ.get("HAWSER_BIND") or DEFAULT_BIND)
    except CommandError as problem:
        sys.stderr.write(f"hawser: {problem}\n")
        sys.exit(problem.status)
    os.environ["HAWSER_MINFDS"] = str(surroundings.open_files())
    surroundings.forbid_core_dumps()
    output.make_reopenable()
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
