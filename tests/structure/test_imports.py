"""What a process has loaded once it has imported a package: asked of a real process."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

import pytest

from database import encryption
from tests.structure.source import ROOT, python_files

#: Imports everything that is named on stdin and tells what is loaded then.
CODE = """
import importlib, json, sys
for name in json.load(sys.stdin):
    importlib.import_module(name)
patched = []
if "gevent.monkey" in sys.modules:
    patched = list(sys.modules["gevent.monkey"].saved)
print(json.dumps([sorted(sys.modules), patched]))
"""


def modules(*folders: str) -> tuple[str, ...]:
    """Return the dotted names of all modules below the folders but migration scripts."""
    files = [
        path.with_suffix("") for path in python_files(*folders) if "migrations" not in path.parts
    ]
    return tuple(".".join(path.parts).removesuffix(".__init__") for path in files)


@cache
def loaded(names: tuple[str, ...]) -> tuple[frozenset[str], tuple[str, ...]]:
    """Return the modules of a fresh process that imported `names`, and what gevent patched."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", CODE],
        input=json.dumps(names),
        check=False,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={
            "HAWSER_HOME": "/nonexistent",
            "HAWSER_ENCRYPTION_KEYS": encryption.new_key(),
            "HAWSER_SECRET_KEY": "k" * 40,
        },
    )
    assert ended.returncode == 0, ended.stderr
    found, patched = json.loads(ended.stdout.splitlines()[-1])
    return frozenset(found), tuple(patched)


DATABASE = modules("database")
WORKER = modules("mqttworker")
WEB = (*modules("webapp"), "wsgi")


@pytest.mark.parametrize("absent", ["flask", "gevent", "gmqtt", "webapp", "mqttworker"])
def test_the_basement_loads_neither_web_nor_worker(absent: str) -> None:
    assert absent not in loaded(DATABASE)[0]


@pytest.mark.parametrize("absent", ["flask", "flask_admin", "werkzeug", "wtforms", "webapp"])
def test_the_worker_loads_no_web(absent: str) -> None:
    assert absent not in loaded(WORKER)[0]


@pytest.mark.parametrize("absent", ["gevent", "gmqtt", "mqttworker"])
def test_the_web_loads_no_worker(absent: str) -> None:
    assert absent not in loaded(WEB)[0]


@pytest.mark.parametrize("present", ["gevent", "gmqtt", "database.models"])
def test_the_worker_loads_what_it_stands_on(present: str) -> None:
    assert present in loaded(WORKER)[0]


def test_the_worker_is_not_monkey_patched() -> None:
    assert loaded(WORKER)[1] == ()


@pytest.mark.parametrize("name", ["database", "mqttworker", "webapp", "demo", "bench"])
def test_importing_a_package_loads_nothing_else_of_the_house(name: str) -> None:
    house = ("database", "mqttworker", "webapp", "demo", "bench", "sqlalchemy", "flask", "gevent")
    found, _ = loaded((name,))
    assert {module for module in found if module.partition(".")[0] in house} == {name}


def test_the_command_needs_nothing_but_python() -> None:
    # -S leaves the installed packages out.
    names = json.dumps([*modules("ops"), "manage"])
    command = [sys.executable, "-S", "-W", "error", "-c", CODE]
    subprocess.run(command, input=names, check=True, capture_output=True, text=True, cwd=ROOT)
