"""`lint` and `test`: the checks that decide whether a change is good."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ops import private_files, system_packages, virtual_environment
from ops.surroundings import ROOT

#: Each starts servers of its own; more cost more than they gain.
MAX_PROCESSES = 8
#: With them a person talks to the one process that runs the tests.
TERMINAL_OPTIONS = {"--pdb", "--trace", "-s", "--capture=no"}
#: The variable that names the file to which tests/support/repetition.py writes the failed tests
#: that may be repeated.
REPEATABLE_TESTS = "REPEATABLE_TESTS"
#: More tests than this are not repeated: something is wrong with all of them.
MAX_REPEATED = 10
#: What the last run repeated, below ROOT; not there if it repeated nothing.
REPEATED_TESTS = Path(".artefacts") / "repeated-tests.txt"
#: pytest's exit status when tests failed.
TESTS_FAILED = 1


def lint() -> int:
    """Run every static check, also after one has failed; return 1 if any did."""
    python = virtual_environment.ensure("dev")
    checks = [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "--strict", *typed()],
    ]
    failed = [check[0:2] for check in checks if _run(python, check, dict(os.environ)) != 0]
    for name in failed:
        sys.stderr.write(f"manage.py: {' '.join(name)} found something; see above.\n")
    return 1 if failed else 0


def typed() -> list[str]:
    """Return what mypy checks: every Python package and file at the top of the checkout."""
    packages = sorted(path.parent.name for path in ROOT.glob("[!.]*/__init__.py"))
    files = sorted(path.name for path in ROOT.glob("*.py"))
    return packages + files


def test(arguments: list[str]) -> int:
    """Install what the tests use, then run pytest with `arguments`; return its exit status."""
    system_packages.provide()
    python = virtual_environment.ensure("dev")
    (ROOT / REPEATED_TESTS).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "repeatable"
        environment = {**_scrubbed(), REPEATABLE_TESTS: str(report)}
        status = _run(python, ["pytest", *distribution(arguments), *arguments], environment)
        names = report.read_text(encoding="utf-8").splitlines() if report.exists() else []
    if status == TESTS_FAILED and 0 < len(names) <= MAX_REPEATED:
        return _repeat(python, names)
    return status


def _repeat(python: Path, names: list[str]) -> int:
    """Run each of the tests `names` by itself and record its result; return the exit status.

    On a busy machine a test that measures time can fail because of the others. A test that is
    wrong, or whose product is, fails again.
    """
    worst = 0
    for name in names:
        sys.stdout.write(f"\nmanage.py: this test failed beside others and is repeated: {name}\n")
        sys.stdout.flush()
        status = _run(python, ["pytest", "-n", "0", name], _scrubbed())
        _record(f"{'failed again' if status else 'passed'}: {name}")
        worst = worst or status
    return worst


def _record(line: str) -> None:
    path = ROOT / REPEATED_TESTS
    with private_files.usual_umask():
        path.parent.mkdir(exist_ok=True)
        with path.open("a", encoding="utf-8") as record:
            record.write(f"{line}\n")


def distribution(arguments: list[str]) -> list[str]:
    """Return the options that spread tests over processes; `-n` in `arguments` changes them."""
    if TERMINAL_OPTIONS & set(arguments):
        return []
    # Most tests wait for something most of the time: one more than there are cores.
    processes = min(len(os.sched_getaffinity(0)) + 1, MAX_PROCESSES)
    return ["-n", str(processes), "--dist", "worksteal"]


def _scrubbed() -> dict[str, str]:
    """Return the environment without the product's settings: tests choose their own."""
    away = ("HAWSER_", "PYTEST_ADDOPTS", "PYTHONPATH", "PYTHONHOME", REPEATABLE_TESTS)
    values = {name: value for name, value in os.environ.items() if not name.startswith(away)}
    # All processes must see the cases of a set in one order.
    values.setdefault("PYTHONHASHSEED", "0")
    # Debian keeps mosquitto where only root's PATH looks.
    values["PATH"] = os.pathsep.join([values.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    return values


def _run(python: Path, module: list[str], environment: dict[str, str]) -> int:
    command = [str(python), "-m", *module]
    with private_files.usual_umask():
        done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    return done.returncode
