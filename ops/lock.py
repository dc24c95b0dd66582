"""Compiling the lock files: pinned, hashed, for every platform, and without index addresses."""

from __future__ import annotations

import subprocess

from ops import pip
from ops.surroundings import ROOT

#: What each lock file is compiled from.
SOURCES = {
    "run": ["pyproject.toml"],
    "demo": ["pyproject.toml", "--extra", "demo"],
    "dev": ["pyproject.toml", "--extra", "demo", "--extra", "dev"],
    "virtualenv": ["requirements/virtualenv.in"],
    "uv": ["requirements/uv.in"],
}
#: --no-emit-index-url keeps the place the packages came from out of the file.
OPTIONS = [
    "--quiet",
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--custom-compile-command=python3 manage.py lock",
]


def lock() -> int:
    """Compile every lock file anew; return uv's exit status."""
    uv = pip.install_tool("uv") / "bin" / "uv"
    for name, sources in SOURCES.items():
        target = ["-o", f"requirements/{name}.txt"]
        command = [str(uv), "pip", "compile", *OPTIONS, *sources, *target]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if status != 0:
            return status
    return 0
