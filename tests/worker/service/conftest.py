"""A worker on the database of the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from tests.worker.service.worker import WorkerProcess


@pytest.fixture
def second(
    tmp_path: Path, process_environment: dict[str, str], engine: Engine
) -> Iterator[WorkerProcess]:
    """Another worker on the same database; it shares no lock file with the first."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    environment = process_environment | {"HAWSER_HOME": str(elsewhere), "NAME": "second"}
    made = WorkerProcess(tmp_path, environment, engine)
    yield made
    if hasattr(made, "child"):
        made.child.stop()


@pytest.fixture
def worker(
    tmp_path: Path, process_environment: dict[str, str], engine: Engine
) -> Iterator[WorkerProcess]:
    """A worker that a test starts when its records are in place; ended with the test."""
    made = WorkerProcess(tmp_path, process_environment, engine)
    yield made
    if hasattr(made, "child"):
        made.child.stop()
