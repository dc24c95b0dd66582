"""manage.py on machines where little or nothing is there yet."""

from __future__ import annotations

import ast
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def make_checkout(copy: Path) -> None:
    """Copy what manage.py needs to make a virtual environment, with nothing to install."""
    for name in ("ops", "demo"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "manage.py", copy)
    (copy / "requirements").mkdir()
    # Where Python's own venv is crippled, virtualenv takes its place.
    shutil.copy(ROOT / "requirements" / "virtualenv.txt", copy / "requirements")
    for name in ("run", "demo", "dev"):
        (copy / "requirements" / f"{name}.txt").write_text("# nothing\n", encoding="utf-8")
    (copy / "webapp.py").write_text("print('here is webapp')\n", encoding="utf-8")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout in which nothing is installed."""
    copy = tmp_path / "checkout"
    make_checkout(copy)
    return copy


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose virtual environment is there: making one takes seconds."""
    copy = tmp_path_factory.mktemp("made") / "checkout"
    make_checkout(copy)
    assert run(copy).returncode == 0
    return copy


@pytest.fixture
def installed(made: Path, tmp_path: Path) -> Path:
    """A copy of `made`."""
    return Path(shutil.copytree(made, tmp_path / "installed", symlinks=True))


def command(checkout: Path) -> list[str]:
    """Return a harmless command that needs the virtual environment."""
    return [sys.executable, str(checkout / "manage.py"), "new-key"]


def run(checkout: Path) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "PIP_USER": "1"}
    return subprocess.run(
        command(checkout), env=environment, text=True, capture_output=True, timeout=100, check=False
    )


def test_the_file_parses_on_every_python() -> None:
    tree = ast.parse((ROOT / "manage.py").read_text(encoding="ascii"), feature_version=(3, 4))
    modern = (ast.JoinedStr, ast.AnnAssign, ast.FunctionDef, ast.AsyncFunctionDef, ast.NamedExpr)
    assert [type(node).__name__ for node in ast.walk(tree) if isinstance(node, modern)] == []


def test_the_commands_need_the_standard_library_only() -> None:
    allowed = sys.stdlib_module_names | {"ops", "demo.login", "demo"}
    files = [ROOT / "manage.py", ROOT / "demo" / "login.py", *(ROOT / "ops").glob("*.py")]
    found = {
        f"{path.name}: {name}"
        for path in files
        for name in imported(path)
        if name not in allowed and name.partition(".")[0] not in allowed
    }
    assert found == set()


def imported(path: Path) -> set[str]:
    """Return the names of the modules that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_every_larger_set_holds_the_smaller_ones() -> None:
    run_set, demo, dev = (pins(name) for name in ("run", "demo", "dev"))
    assert run_set
    assert run_set < demo < dev


def pins(name: str) -> set[tuple[str, str]]:
    """Return the names and versions of a lock file."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z0-9._-]+)==([^ \\;\n]+)", text, flags=re.MULTILINE))


@pytest.mark.parametrize("name", ["run", "demo", "dev", "virtualenv", "uv"])
def test_lock_files_hold_hashes_and_no_addresses(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(re.findall(r"^\S+==", text, flags=re.MULTILINE)) > 0


def test_a_virtual_environment_is_made_once(checkout: Path) -> None:
    first, second = run(checkout), run(checkout)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr
    assert "Making .venv" in first.stdout
    assert second.stdout == "here is webapp\n"


def test_a_half_made_virtual_environment_is_repaired(checkout: Path) -> None:
    (checkout / ".venv" / "bin").mkdir(parents=True)
    (checkout / ".venv" / "bin" / "python").symlink_to("/nonexistent/python")
    done = run(checkout)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "here is webapp"), done.stderr


def test_a_changed_lock_file_is_installed(installed: Path) -> None:
    for name in ("run", "demo", "dev"):
        path = installed / "requirements" / f"{name}.txt"
        path.write_text("# nothing, again\n", encoding="utf-8")
    assert "Installing requirements/run.txt" in run(installed).stdout


def test_a_package_without_a_hash_is_refused_in_a_sentence(installed: Path) -> None:
    for name in ("run", "demo", "dev"):
        path = installed / "requirements" / f"{name}.txt"
        path.write_text("flask==3.1.3\n", encoding="utf-8")
    done = run(installed)
    assert done.returncode == 1
    assert done.stderr.startswith("manage.py: pip could not install the packages.")
    assert "Traceback" not in done.stderr


def test_two_first_runs_at_once_both_succeed(checkout: Path) -> None:
    children = [
        subprocess.Popen(command(checkout), text=True, stdout=subprocess.PIPE) for _ in range(2)
    ]
    outputs = [child.communicate(timeout=100)[0] for child in children]
    assert [child.returncode for child in children] == [0, 0]
    assert sum("Making .venv" in output for output in outputs) == 1


def test_the_home_is_made_for_its_owner_only(made: Path) -> None:
    assert stat.S_IMODE((made / "var").stat().st_mode) == 0o700
