"""What every test gets: a clean environment, keys, and real servers on loopback ports."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import Engine

from database import encryption
from database.session import make_engine
from tests.support import mosquitto as mosquitto_module
from tests.support import postgresql as postgresql_module
from tests.support import repetition, scratch, turns
from tests.support.certificates import Certificates
from tests.support.databases import Databases, PostgreSQLDatabases, SQLiteDatabases
from tests.support.mosquitto import Mosquitto
from tests.support.postgresql import PostgreSQL
from tests.support.scripted_broker import ScriptedBroker

#: One key for the whole run.
ENCRYPTION_KEY = encryption.new_key()
#: What fills `{hostname}` in workers that tests start.
HOSTNAME = "bfg_back"


def _scrub_environment() -> None:
    # libpq reads PG* and would take host or password from them.
    for name in [name for name in os.environ if name.startswith(("HAWSER_", "PG"))]:
        del os.environ[name]


@pytest.fixture(autouse=True)
def clean_environment() -> Iterator[None]:
    """No HAWSER_* variable reaches a test from outside or from the test before."""
    _scrub_environment()
    yield
    _scrub_environment()


@pytest.fixture(autouse=True)
def keys() -> str:
    """Configure `database.encryption`, as each process does at its start; return the key."""
    encryption.configure([ENCRYPTION_KEY])
    return ENCRYPTION_KEY


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A HAWSER_HOME of its own."""
    path = tmp_path / "home"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def process_environment(home: Path, database_url: str) -> dict[str, str]:
    """The whole environment for a process of the product that uses `database_url`."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "error",
        "HAWSER_HOME": str(home),
        "HAWSER_DATABASE_URL": database_url,
        "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "HAWSER_HOSTNAME": HOSTNAME,
    }


# --- databases --------------------------------------------------------------------------


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    """A private PostgreSQL server; a test that stops it starts it again."""
    if postgresql_module.executable("initdb") is None:
        pytest.skip("PostgreSQL is not installed (Debian: postgresql)")
    server = PostgreSQL()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def postgresql_databases(postgresql_server: PostgreSQL) -> Databases:
    """Fresh databases on the private PostgreSQL server."""
    return PostgreSQLDatabases(postgresql_server)


@pytest.fixture(scope="session")
def sqlite_databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Fresh SQLite files."""
    return SQLiteDatabases(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)],
)
def databases(request: pytest.FixtureRequest) -> Databases:
    """Fresh databases: every test that asks runs once on SQLite and once on PostgreSQL."""
    found: Databases = request.getfixturevalue(f"{request.param}_databases")
    return found


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The address of a new database at head."""
    with databases.migrated() as url:
        yield url


@pytest.fixture
def empty_database_url(databases: Databases) -> Iterator[str]:
    """The address of a new database without tables."""
    with databases.empty() as url:
        yield url


@pytest.fixture
def sqlite_url(sqlite_databases: Databases) -> Iterator[str]:
    """The address of a new SQLite database at head, where one database is enough."""
    with sqlite_databases.migrated() as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine on `database_url`."""
    made = make_engine(database_url)
    yield made
    made.dispose()


# --- brokers ----------------------------------------------------------------------------


@pytest.fixture
def start_mosquitto(tmp_path: Path) -> Iterator[Callable[..., Mosquitto]]:
    """A function that starts a private mosquitto; its arguments are those of `Mosquitto`."""
    if mosquitto_module.executable() is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    with ExitStack() as running:

        def start(**options: object) -> Mosquitto:
            return running.enter_context(Mosquitto(tmp_path, **options))  # type: ignore[arg-type]

        yield start


@pytest.fixture
def mosquitto(start_mosquitto: Callable[..., Mosquitto]) -> Mosquitto:
    """A running private mosquitto that lets everybody in."""
    return start_mosquitto()


@pytest.fixture
def scripted_broker() -> Iterator[ScriptedBroker]:
    """A broker that behaves until its `script` is changed."""
    with ScriptedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Certificates and keys, made once a run."""
    return Certificates(tmp_path_factory.mktemp("certificates"))


# --- the run ----------------------------------------------------------------------------


def pytest_configure(config: pytest.Config) -> None:
    """Choose where files go before the first is made, and how patient Hypothesis is."""
    scratch.use_memory()
    config.pluginmanager.register(repetition)
    # How fast examples are made says how busy the machine is, not whether our code is right.
    settings.register_profile("suite", deadline=2_000, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("suite")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs mosquitto, so that `-m "not broker"` leaves it out; put `alone` last."""
    for item in items:
        if "start_mosquitto" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.broker)
    items.sort(key=_is_alone)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let a test marked `alone` have the machine to itself when several processes run tests."""
    # Outermost: waiting for the others does not count as time of the test.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return (yield)
    with turns.turn(alone=_is_alone(item)):
        return (yield)


def _is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None
