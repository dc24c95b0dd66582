"""What is committed names no machine and no package index, and one version."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from functools import cache

import pytest

from database.version import VERSION
from tests.structure.source import ROOT

#: Written in two halves, so that this file does not hold what it looks for.
FORBIDDEN = {
    "a package index": "py" + r"pi\.org|python" + r"hosted|dev" + r"pi|arti" + "factory",
    "an option that names an index": "--(extra-)?index"
    + "-url|--find"
    + "-links|--trusted"
    + "-host",
    "a directory of one machine": r"(?<![\w.])/(home|root|Users|work)/" + r"\w",
    "a conflict": r"(?m)^(<{7}|>{7}) ",
}


@cache
def tracked() -> dict[str, str]:
    """Return the text of every file that git tracks and that is there."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    return {
        str(path.relative_to(ROOT)): path.read_text(encoding="utf-8", errors="replace")
        for path in files
        if path.is_file()
    }


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_tracked_file_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = {name: match[0] for name, text in tracked().items() if (match := pattern.search(text))}
    assert found == {}


def test_no_tracked_file_is_a_secret_or_a_database() -> None:
    names = [
        name for name in tracked() if re.search(r"\.(db|key|pem|sqlite3?|log)$|/secret-key$", name)
    ]
    assert names == []


def test_every_locked_requirement_has_a_hash() -> None:
    locks = {
        name: text
        for name, text in tracked().items()
        if re.fullmatch(r"requirements/.+\.txt", name)
    }
    assert locks
    for name, text in locks.items():
        for requirement in re.split(r"\n(?=[a-z0-9])", text.replace("\\\n", "")):
            if re.match(r"[a-z0-9]", requirement):
                assert "--hash=sha256:" in requirement, f"{name}: {requirement}"


def test_the_project_and_the_code_have_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == VERSION
