"""`--help` helps and does nothing else; a checkout that cannot be written is told in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.manage.test_manage import checkout, installed, made, make_checkout, run
from tests.support import other_user

__all__ = ["checkout", "installed", "made"]
COMMANDS = (
    *("run", "test", "lint", "bench", "connections", "accounts", "supervisorctl"),
    *("new-key", "words", "lock"),
)
SYSTEM_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout in which nothing is made."""
    directory = tmp_path_factory.mktemp("pristine")
    make_checkout(directory / "checkout")
    return directory / "checkout"


def manage(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # Python compiles once, beside the checkout.
    compiled = {"PYTHONPYCACHEPREFIX": str(checkout.parent / "compiled")}
    return subprocess.run(
        [sys.executable, str(checkout / "manage.py"), *arguments],
        env={"PATH": os.environ["PATH"], **compiled},
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_help_helps_and_makes_nothing(pristine: Path, name: str) -> None:
    before = set(pristine.rglob("*"))
    for option in ("--help", "-h"):
        done = manage(pristine, name, option)
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"usage: manage.py {name}")
    assert set(pristine.rglob("*")) == before


def test_help_of_a_part_of_a_command_makes_nothing(pristine: Path) -> None:
    before = set(pristine.rglob("*"))
    for words in (("accounts", "create"), ("bench", "connect"), ("connections", "export")):
        assert manage(pristine, *words, "--help").returncode == 0
    assert set(pristine.rglob("*")) == before


@contextmanager
def lent(checkout: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a copy that others may read, and a command of it with a data directory for all."""
    with other_user.open_directory() as directory:
        copy, home = directory / "checkout", directory / "home"
        subprocess.run(["cp", "-r", str(checkout), str(copy)], check=True)
        subprocess.run(["chmod", "-R", "a+rX", str(copy)], check=True)
        home.mkdir()
        home.chmod(0o777)
        yield copy, [SYSTEM_PYTHON, str(copy / "manage.py"), "--home", str(home), "new-key"]


@pytest.mark.skipif(bool(other_user.why_not()), reason=other_user.why_not())
def test_a_checkout_of_somebody_else_is_told_with_its_cure(checkout: Path) -> None:
    with lent(checkout) as (copy, command):
        first = other_user.run(command)
        (copy / ".tools").mkdir()
        (copy / ".tools" / "lock").touch()
        second = other_user.run(command)
    for done in (first, second):
        assert done.returncode == 1, done.stdout
        (line,) = done.stderr.splitlines()
        assert line.startswith(f"manage.py: The packages of {copy} are not installed or out of")
        assert "run this command once as the user who owns" in line


@pytest.mark.skipif(bool(other_user.why_not()), reason=other_user.why_not())
def test_a_checkout_with_its_packages_serves_users_who_may_not_write_there(checkout: Path) -> None:
    with lent(checkout) as (_copy, command):
        made = subprocess.run(
            command, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False
        )
        assert made.returncode == 0, made.stderr
        done = other_user.run(command)
    assert (done.returncode, done.stdout) == (0, "here is webapp\n"), done.stderr


def test_an_installation_that_is_whole_asks_for_no_right_to_write(installed: Path) -> None:
    (installed / ".tools").chmod(0o500)
    assert run(installed).stdout == "here is webapp\n"
