"""pip, kept away from everything that would send its work somewhere else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ops.errors import CommandError
from ops.surroundings import ROOT

#: Holds tools that are not part of any virtual environment.
TOOLS = ROOT / ".tools"
#: Switches of pip and Python that redirect installations or imports.
AWAY = frozenset(
    {"PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV"}
    | {"PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__"}
)
#: Lines of pip's output that are shown when it fails.
SHOWN_LINES = 15


def lock_file(name: str) -> Path:
    """Return the path of a lock file in requirements/."""
    return ROOT / "requirements" / f"{name}.txt"


def install(python: Path | str, name: str, *options: str) -> None:
    """Install what `requirements/{name}.txt` names, every hash checked. Raises CommandError."""
    command = [str(python), "-m", "pip", "install", *options]
    problem = quietly([*command, "--require-hashes", "-r", str(lock_file(name))])
    if problem is not None:
        last_words = "\n".join(problem.strip().splitlines()[-SHOWN_LINES:])
        msg = (
            "pip could not install the packages. It needs a network (behind a proxy: HTTPS_PROXY) "
            f"and room on the disk. Its last words:\n{last_words}"
        )
        raise CommandError(msg)


def install_tool(name: str) -> Path:
    """Install a tool apart from everything else; return the directory to import it from."""
    target = TOOLS / name
    # --target is exempt from the rule that keeps pip away from Debian's own packages.
    install(sys.executable, name, "--upgrade", "--target", str(target))
    return target


def is_there(python: Path | str) -> bool:
    """Say whether this Python can be run and has pip."""
    return os.access(python, os.X_OK) and quietly([str(python), "-m", "pip", "--version"]) is None


def quietly(command: list[str], **variables: str) -> str | None:
    """Run `command`; return None if it succeeded, else what it wrote."""
    done = subprocess.run(
        command,
        env=_clean_environment() | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return None if done.returncode == 0 else done.stdout


def _clean_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in AWAY}
    return kept | {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
