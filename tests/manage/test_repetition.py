"""`manage.py test` repeats what is marked `timing` and nothing else, and keeps a record of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ops import checks
from tests.structure.source import ROOT

CONFTEST = """
from tests.support import repetition
def pytest_configure(config):
    config.pluginmanager.register(repetition)
"""
SETTINGS = """
[pytest]
# Without what takes long to import.
addopts = --strict-markers -p no:hypothesispytest -p no:time_machine -p no:timeout
testpaths = tests
markers =
    timing: is repeated
"""
#: Each fails if the file of its kind exists: `slow` always, the others the first time.
TESTS = """
import os
from pathlib import Path
import pytest
def fail_once(kind, number):
    path = Path(f"{kind}-{number}")
    if Path(kind).exists() and number < int(Path(kind).read_text()):
        if not path.exists():
            path.touch()
            pytest.fail("the first time")
        assert "PYTEST_XDIST_WORKER" not in os.environ
def test_right():
    pass
def test_unmarked():
    fail_once("unmarked", 0)
@pytest.mark.timing
@pytest.mark.parametrize("number", range(11))
def test_measured(number):
    fail_once("measured", number)
@pytest.mark.timing
def test_slow():
    assert not Path("slow").exists()
"""
MEASURED = "tests/test_some.py::test_measured[0]"
SLOW = "tests/test_some.py::test_slow"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[str]]]:
    """A function that calls `test` on a tiny checkout in which the tests of a kind fail.

    It returns the exit status and the record of what was repeated.
    """
    (tmp_path / "tests" / "support").mkdir(parents=True)
    (tmp_path / "tests" / "__init__.py").touch()
    shutil.copy(ROOT / "tests" / "support" / "repetition.py", tmp_path / "tests" / "support")
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    (tmp_path / "tests" / "test_some.py").write_text(TESTS)
    (tmp_path / "pytest.ini").write_text(SETTINGS)
    for name in [name for name in os.environ if name.startswith("PYTEST_XDIST")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(checks, "ROOT", tmp_path)
    monkeypatch.setattr("ops.system_packages.provide", lambda: None)
    monkeypatch.setattr("ops.virtual_environment.ensure", lambda _kind: Path(sys.executable))

    def call(*arguments: str, **failing: int) -> tuple[int, list[str]]:
        for kind, count in failing.items():
            (tmp_path / kind).write_text(str(count))
        status = checks.test(["-n", "1", *arguments])
        record = tmp_path / checks.REPEATED_TESTS
        return status, record.read_text().splitlines() if record.exists() else []

    return call


def test_a_test_that_measures_time_is_repeated_by_itself(
    run: Callable[..., tuple[int, list[str]]],
) -> None:
    assert run(measured=1) == (0, [f"passed: {MEASURED}"])


def test_the_record_is_that_of_the_last_run(run: Callable[..., tuple[int, list[str]]]) -> None:
    assert run(measured=1, slow=1) == (
        checks.TESTS_FAILED,
        [f"passed: {MEASURED}", f"failed again: {SLOW}"],
    )
    assert run("-k", "right") == (0, [])


@pytest.mark.parametrize(
    "failing",
    [{"unmarked": 1, "measured": 1}, {"measured": 11}],
    ids=str,
)
def test_other_failures_are_final(
    run: Callable[..., tuple[int, list[str]]], failing: dict[str, int]
) -> None:
    assert run(**failing) == (checks.TESTS_FAILED, [])


@pytest.mark.parametrize(
    "options",
    [
        # pytest reads each of these: the other spellings end in the same place.
        ["-qx", "-n", "0"],
        ["--maxfail=2"],
        ["-n0"],
        ["--numprocesses=0"],
    ],
    ids=" ".join,
)
def test_a_run_that_ended_early_or_had_one_process_is_final(
    run: Callable[..., tuple[int, list[str]]], options: list[str]
) -> None:
    status, record = run(*options, measured=1)
    assert status != 0
    assert record == []


def test_ci_prints_the_record_and_keeps_the_status(tmp_path: Path) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    record = tmp_path / checks.REPEATED_TESTS
    record.parent.mkdir()
    commands = """
import sys
from pathlib import Path
if sys.argv[1] == "test":
    Path({record!r}).write_text("failed again: tests/test_some.py\\n")
    sys.exit(3)
"""
    (tmp_path / "manage.py").write_text(commands.format(record=str(record)))
    done = subprocess.run(
        [tmp_path / ".ci" / "run"], stdout=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "failed again: tests/test_some.py\n")
