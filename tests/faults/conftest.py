"""The stage of the fault tests, one a process of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from database import encryption
from database.session import make_engine
from tests.conftest import ENCRYPTION_KEY, HOSTNAME
from tests.faults import figures
from tests.faults.oracle import Oracle
from tests.faults.stage import WORKER, Stage
from tests.support import mosquitto as mosquitto_module
from tests.support import nameserver
from tests.support.databases import Databases
from tests.support.mosquitto import Mosquitto
from tests.support.nameserver import NameServer
from webapp.app import create_app
from webapp.settings import WebSettings
from webapp.store import db

#: How long the worker's look-ups wait for an answer, seconds; 30 is the most there is.
RESOLVER_TIMEOUT = 30 if figures.LONG else 6
#: Row, what was measured, the figure, its unit.
Note = Callable[[str, str, float, str], None]


@pytest.fixture(scope="session")
def note() -> Note:
    """Keep a figure; see `tests.faults.figures`."""
    return figures.note


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_databases: Databases) -> Iterator[Stage]:
    """One worker with twenty neighbours, for every fault of this process of the run."""
    with a_stage(tmp_path_factory.mktemp("stage"), sqlite_databases) as made:
        yield made


@contextmanager
def a_stage(
    directory: Path, databases: Databases, program: Sequence[str] = WORKER
) -> Iterator[Stage]:
    """Start a stage in `directory`; `program` is the worker's module and its arguments."""
    if mosquitto_module.executable() is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    encryption.configure([ENCRYPTION_KEY])
    with (
        databases.migrated() as url,
        Mosquitto(directory) as mosquitto,
        _name_server(directory) as names,
    ):
        app = create_app(_web_settings(directory, url))
        engine = make_engine(url)
        made = Stage(directory, _environment(directory, url), engine, app)
        try:
            made.start(mosquitto, names, program)
            yield made
        finally:
            made.worker.child.stop()
            engine.dispose()
            with app.app_context():
                db.engine.dispose()


@contextmanager
def _name_server(directory: Path) -> Iterator[NameServer | str]:
    """Yield a name server for the worker, or why there is none."""
    if reason := nameserver.why_not():
        yield reason
        return
    with NameServer(directory, timeout=RESOLVER_TIMEOUT) as names:
        yield names


def _web_settings(directory: Path, url: str) -> WebSettings:
    return WebSettings(
        home=directory,
        database_url=url,  # type: ignore[arg-type]
        encryption_keys=ENCRYPTION_KEY,  # type: ignore[arg-type]
        secret_key="k" * 40,  # type: ignore[arg-type]
        hostname=HOSTNAME,
        health_anonymous="full",
    )


def _environment(directory: Path, url: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "HAWSER_HOME": str(directory),
        "HAWSER_DATABASE_URL": url,
        "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "HAWSER_HOSTNAME": HOSTNAME,
    }


@pytest.fixture
def oracle(stage: Stage) -> Iterator[Oracle]:
    """The oracle, watching during one test."""
    with Oracle(stage) as watching:
        yield watching


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the stage: it has a mosquitto."""
    for item in items:
        if "stage" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.broker)
