"""The stage of the fault tests, one a process of the run."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest
from sqlalchemy import make_url

from database import encryption
from database.session import make_engine
from tests.conftest import ENCRYPTION_KEY, HOSTNAME
from tests.faults import figures
from tests.faults.oracle import Oracle
from tests.faults.stage import WORKER, Stage
from tests.support import disk, nameserver
from tests.support import mosquitto as mosquitto_module
from tests.support.databases import Databases, SQLiteDatabases
from tests.support.disk import SmallDisk
from tests.support.fault_proxy import FaultProxy
from tests.support.mosquitto import Mosquitto
from tests.support.nameserver import NameServer
from tests.support.postgresql import PostgreSQL
from webapp.app import create_app
from webapp.settings import WebSettings
from webapp.store import db

#: How long the worker's look-ups wait for an answer, seconds; 30 is the most there is.
RESOLVER_TIMEOUT = 30 if figures.LONG else 6
#: A disk for two databases and 20,000 messages, with their copies in the WAL, bytes.
DISK_SIZE = 64 << 20
#: Changes of records are followed sooner than by default, which is every second.
PROMPT = {"HAWSER_CONFIG_POLL_INTERVAL": "0.2"}
#: Little room for messages, so that a test fills it at once.
LITTLE_ROOM = {
    "HAWSER_MESSAGE_QUEUE_MESSAGES": "2000",
    "HAWSER_MESSAGE_QUEUE_BYTES": "1048576",
}
#: A broker that keeps everything that the worker does not take.
PATIENT_BROKER = "max_queued_messages 0\nmax_inflight_messages 0\n"
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


@pytest.fixture(scope="session")
def can_mount() -> None:
    """Leave out what needs a disk of its own where none can be mounted."""
    if reason := disk.why_not():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def small_disk(tmp_path_factory: pytest.TempPathFactory, can_mount: None) -> Iterator[SmallDisk]:
    """The disk of `small_stage`."""
    with SmallDisk(tmp_path_factory.mktemp("small") / "disk", DISK_SIZE) as made:
        yield made


@pytest.fixture(scope="session")
def small_stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A worker with little room for messages, its SQLite file on a small disk."""
    directory = place = tmp_path_factory.mktemp("small-stage")
    if not disk.why_not():
        # Most faults need no disk of their own.
        place = request.getfixturevalue("small_disk").path
    databases = SQLiteDatabases(place)
    settings = {**PROMPT, **LITTLE_ROOM}
    with a_stage(directory, databases, settings=settings, broker=PATIENT_BROKER) as made:
        yield made


@pytest.fixture(scope="session")
def postgresql_proxy(postgresql_server: PostgreSQL) -> Iterator[FaultProxy]:
    """The way of `postgresql_stage` to its database."""
    with FaultProxy(postgresql_server.port) as made:
        yield made


@pytest.fixture(scope="session")
def postgresql_stage(
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_databases: Databases,
    postgresql_proxy: FaultProxy,
) -> Iterator[Stage]:
    """A worker that reaches PostgreSQL through a proxy, which tests and web do not."""

    def through_proxy(url: str) -> str:
        there = make_url(url).set(port=postgresql_proxy.port)
        return there.render_as_string(hide_password=False)

    directory = tmp_path_factory.mktemp("postgresql-stage")
    with a_stage(directory, postgresql_databases, settings=PROMPT, way=through_proxy) as made:
        yield made


@contextmanager
def a_stage(
    directory: Path,
    databases: Databases,
    program: Sequence[str] = WORKER,
    *,
    settings: Mapping[str, str] = MappingProxyType({}),
    broker: str = "",
    way: Callable[[str], str] = str,
) -> Iterator[Stage]:
    """Start a stage in `directory`; `program` is the worker's module and its arguments.

    `settings` are more of the worker's environment, `broker` more of mosquitto's configuration;
    `way` returns where the worker finds the database of that address.
    """
    if mosquitto_module.executable() is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    encryption.configure([ENCRYPTION_KEY])
    with (
        databases.migrated() as url,
        Mosquitto(directory, extra=broker) as mosquitto,
        _name_server(directory) as names,
    ):
        app = create_app(_web_settings(directory, url))
        engine = make_engine(url)
        made = Stage(
            directory, {**worker_environment(directory, way(url)), **settings}, engine, app
        )
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


def worker_environment(directory: Path, url: str) -> dict[str, str]:
    """Return the whole environment of a worker."""
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
        names = getattr(item, "fixturenames", ())
        if {"stage", "small_stage", "postgresql_stage"} & set(names):
            item.add_marker(pytest.mark.broker)
        if "postgresql_stage" in names:
            item.add_marker(pytest.mark.postgresql)
