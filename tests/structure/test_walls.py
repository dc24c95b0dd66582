"""Who may import whom: the packages of the house, and the floors inside the worker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.structure.source import below, imports, python_files

#: A package and what its files must never import, not even inside a function.
WALLS = {
    "database": ("flask", "flask_sqlalchemy", "gevent", "gmqtt", "webapp", "mqttworker", "tests"),
    "webapp": ("mqttworker", "gevent", "gmqtt", "asyncio", "tests", "demo", "bench"),
    "mqttworker": ("webapp", "flask", "flask_sqlalchemy", "flask_admin", "tests", "demo", "bench"),
    "demo": ("webapp", "mqttworker", "gevent", "gmqtt", "tests", "bench"),
    "bench": ("tests", "webapp", "mqttworker"),
}

#: From the bottom. Each may import itself and what stands below it.
FLOORS = ["core", "ports", "adapters", "service", "__main__", "watcher"]

#: The parts of the basement that the core may stand on: words and pure functions.
PURE = ("words", "reasons", "rules", "pem", "encryption", "topics", "sentences", "visible", "hosts")
#: Modules by which a pure function could read a clock, throw dice or touch the world.
IMPURE = (
    *("time", "random", "secrets", "os", "io", "pathlib", "socket", "ssl", "select", "asyncio"),
    *("threading", "subprocess", "signal", "logging", "structlog", "gevent", "sqlalchemy"),
)


def floor_of(path: Path) -> int:
    """Return the height of a file of the worker; settings and package marker stand lowest."""
    part = path.parts[1].removesuffix(".py")
    return FLOORS.index(part) if part in FLOORS else -1


@pytest.mark.parametrize(
    ("package", "path"), [(name, path) for name in WALLS for path in python_files(name)], ids=str
)
def test_no_file_imports_from_beyond_its_walls(package: str, path: Path) -> None:
    assert below(imports(path), *WALLS[package]) == set()


@pytest.mark.parametrize("path", python_files("mqttworker"), ids=str)
def test_nothing_in_the_worker_points_up(path: Path) -> None:
    own = floor_of(path)
    above = [f"mqttworker.{name}" for name in FLOORS[own + 1 :]]
    assert below(imports(path), *above) == set()


def test_every_folder_of_the_worker_is_a_floor() -> None:
    folders = {path.parts[1] for path in python_files("mqttworker") if len(path.parts) > 2}
    assert folders <= set(FLOORS)


@pytest.mark.parametrize("path", python_files("mqttworker/core"), ids=str)
def test_the_core_is_pure(path: Path) -> None:
    names = imports(path)
    assert below(names, *IMPURE) == set()
    allowed = below(names, "mqttworker.core", *(f"database.{name}" for name in PURE))
    foreign = {name for name in names if name.partition(".")[0] not in sys.stdlib_module_names}
    assert foreign - allowed <= {"database"}


@pytest.mark.parametrize("path", python_files("mqttworker/adapters"), ids=str)
def test_an_adapter_touches_at_most_one_library(path: Path) -> None:
    roots = {name.partition(".")[0] for name in imports(path)}
    libraries = roots - set(sys.stdlib_module_names) - {"mqttworker", "database"}
    assert len(libraries) <= 1


def test_one_room_touches_gmqtt() -> None:
    found = {path.parent for path in python_files("mqttworker") if below(imports(path), "gmqtt")}
    assert found == {Path("mqttworker/adapters/gmqtt_client")}


def test_sql_is_written_in_the_store_only() -> None:
    store = Path("mqttworker/ports/store")
    for path in python_files("mqttworker"):
        if not path.is_relative_to(store):
            names = below(imports(path), "sqlalchemy", "database.models")
            # Everybody may catch what the database raises.
            assert names <= {"sqlalchemy"} | below(names, "sqlalchemy.exc"), path


def test_the_web_opens_no_sockets() -> None:
    for path in python_files("webapp"):
        if path.name == "closing.py" or path.parent.name == "server":
            continue  # they only serve the ones that gunicorn accepted
        assert below(imports(path), "socket", "paho") == set(), path
