"""Row D7: the SQLite file is removed, moved or replaced while messages come."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import make_url

from bench import payloads
from database.session import make_engine
from database.words import ConnectionState as State
from database.words import WorkerState
from tests.faults.conftest import _web_settings, worker_environment
from tests.faults.messages import acknowledged, numbered, wait_for_acknowledged
from tests.faults.stage import HEALTH, TOLD_WITHIN
from tests.support.databases import Databases, sqlite_url
from tests.support.process import wait_until
from tests.support.scripted_broker import ScriptedBroker
from tests.worker.service.worker import ROOT, WorkerProcess, add
from webapp.app import create_app
from webapp.store import db

FIRST, SECOND, THIRD = range(300), range(300, 600), range(600, 900)


class Site:
    """A worker with one connection, and the web, on an SQLite file of their own."""

    def __init__(self, directory: Path, template: Path, running: ExitStack) -> None:
        self.home = directory / "home"
        self.home.mkdir()
        self.data = directory / "data"
        self.data.mkdir()
        self.file = self.data / "hawser.db"
        self.file.write_bytes(template.read_bytes())
        url = sqlite_url(self.file)
        self.engine = make_engine(url)
        running.callback(self.engine.dispose)
        self.app: Flask = create_app(_web_settings(self.home, url))
        running.enter_context(closing_web(self.app))
        self.broker = running.enter_context(ScriptedBroker())
        worker = WorkerProcess(self.home, worker_environment(self.home, url), self.engine)
        self.worker = running.enter_context(worker)
        self.id = add(self.engine, "subject", self.broker.port, "data/#", protocol="5")
        self.worker.wait_for_states({"subject": State.CONNECTED})
        self.session = self.broker.sessions[0]
        assert self.get(HEALTH)[0] == 200
        # Only processes that let go of a file let others have it.
        self.engine.dispose()

    def get(self, path: str) -> tuple[int, str]:
        """Return status and text of an answer of the web."""
        answer = self.app.test_client().get(path)
        return answer.status_code, answer.get_data(as_text=True)

    def send(self, numbers: Sequence[int]) -> None:
        """Let the broker send messages with these numbers."""
        self.session.send(b"".join(numbered(numbers, 1)))

    def send_and_wait(self, numbers: Sequence[int]) -> None:
        """Let the broker send messages, and wait until all so far are acknowledged."""
        self.send(numbers)
        wait_for_acknowledged(self.broker, self.session, range(numbers[-1] + 1))

    def stored(self) -> list[int | None]:
        """Return the numbers in the file that the path names, as another program sees it."""
        with closing(sqlite3.connect(self.file)) as connection:
            rows = connection.execute("SELECT payload FROM message ORDER BY id").fetchall()
        return [payloads.number_of(payload) for (payload,) in rows]

    def wait_until_missed(self, words: str) -> None:
        """Wait until worker and web say that the file is not what it was."""
        self.worker.child.wait_for_output("messages cannot be stored", TOLD_WITHIN)
        assert words.lower() in self.worker.child.output().lower()
        for path in (HEALTH, "/readyz"):
            status, body = self.get(path)
            assert status == 503, body
            assert words.lower() in body.lower()

    def wait_for_pass(self) -> None:
        """Wait until health passes again."""
        what = lambda: str(self.get(HEALTH))  # noqa: E731
        wait_until(lambda: self.get(HEALTH)[0] == 200, TOLD_WITHIN, what)
        assert self.get("/readyz")[0] == 200

    def back_up(self, path: Path) -> Path:
        """Make a back-up as the manual says."""
        with (
            closing(sqlite3.connect(self.file)) as source,
            closing(sqlite3.connect(path)) as target,
        ):
            source.backup(target)
        return path


@pytest.fixture
def site(tmp_path: Path, sqlite_databases: Databases) -> Iterator[Site]:
    with sqlite_databases.migrated() as url, ExitStack() as running:
        yield Site(tmp_path, Path(make_url(url).database or ""), running)


def _move_the_file(site: Site) -> Callable[[], object]:
    moved = site.file.with_name("moved.db")
    site.file.rename(moved)
    return lambda: moved.rename(site.file)


def _move_all_files(site: Site) -> Callable[[], object]:
    names = [path for path in site.data.iterdir() if path.name.startswith("hawser.db")]
    for path in names:
        path.rename(path.with_name(f"moved-{path.name}"))

    def put_back() -> None:
        for path in site.data.glob("moved-*"):
            path.rename(path.with_name(path.name.removeprefix("moved-")))

    return put_back


def _move_the_directory(site: Site) -> Callable[[], object]:
    moved = site.data.with_name("moved")
    site.data.rename(moved)
    site.data.mkdir()

    def put_back() -> None:
        site.data.rmdir()
        moved.rename(site.data)

    return put_back


def _put_a_directory_in_its_place(site: Site) -> Callable[[], object]:
    put_back = _move_the_file(site)
    site.file.mkdir()

    def undo() -> None:
        site.file.rmdir()
        put_back()

    return undo


@pytest.mark.parametrize(
    "move",
    [_move_the_file, _move_all_files, _move_the_directory, _put_a_directory_in_its_place],
)
def test_d7_messages_wait_while_the_file_is_away(
    site: Site, move: Callable[[Site], Callable[[], object]]
) -> None:
    site.send_and_wait(FIRST)
    put_back = move(site)
    site.send(SECOND)
    site.wait_until_missed("the SQLite file is missing")
    assert sorted(acknowledged(site.session)) == list(FIRST)
    assert not site.file.is_file()
    put_back()
    wait_for_acknowledged(site.broker, site.session, range(SECOND[-1] + 1))
    assert site.stored() == [*FIRST, *SECOND]
    site.wait_for_pass()
    assert site.session.closed_at is None


@pytest.mark.parametrize("ending", ["-wal", "-shm"])
def test_d7_what_a_removed_log_held_is_saved(site: Site, ending: str) -> None:
    site.send_and_wait(FIRST)
    site.file.with_name(f"hawser.db{ending}").unlink()
    site.send_and_wait(SECOND)
    site.wait_for_pass()
    site.send_and_wait(THIRD)
    site.worker.child.kill()
    assert site.stored() == [*FIRST, *SECOND, *THIRD]


@pytest.mark.parametrize("with_log", [True, False], ids=["log-left", "log-removed"])
def test_d7_a_file_that_replaces_ours_is_gone_on_with(site: Site, *, with_log: bool) -> None:
    site.send_and_wait(FIRST)
    copy = site.back_up(site.data / "copy.db")
    site.send_and_wait(SECOND)
    copy.rename(site.file)
    if not with_log:
        for ending in ("-wal", "-shm"):
            site.file.with_name(f"hawser.db{ending}").unlink()
    assert "was replaced" in site.get(HEALTH)[1]
    site.send(THIRD)
    wait_for_acknowledged(site.broker, site.session, range(THIRD[-1] + 1))
    # What came between the back-up and its return is what people gave up.
    assert site.stored() == [*FIRST, *THIRD]
    site.worker.child.wait_for_output("going on with the new one", TOLD_WITHIN)
    site.wait_for_pass()
    assert site.session.closed_at is None


def test_d7_a_file_that_is_no_database_of_ours_is_not_gone_on_with(site: Site) -> None:
    site.send_and_wait(FIRST)
    kept, foreign = site.file.with_name("kept.db"), site.file.with_name("foreign.db")
    foreign.write_bytes(b"this is no database" * 1_000)
    before = foreign.read_bytes()
    site.file.rename(kept)
    foreign.rename(site.file)
    site.send(SECOND)
    site.worker.child.wait_for_output("messages cannot be stored", TOLD_WITHIN)
    wait_until(lambda: site.get(HEALTH)[0] == 503, TOLD_WITHIN, "health to notice")
    assert site.get("/readyz")[0] == 503
    assert sorted(acknowledged(site.session)) == list(FIRST)
    assert site.file.read_bytes() == before
    kept.rename(site.file)
    wait_for_acknowledged(site.broker, site.session, range(SECOND[-1] + 1))
    assert site.stored() == [*FIRST, *SECOND]
    site.wait_for_pass()
    site.worker.wait_until_worker(WorkerState.RUNNING)


def test_d7_the_web_makes_no_file_in_the_place_of_one_that_is_gone(site: Site) -> None:
    site.file.rename(site.file.with_name("moved.db"))
    with closing_web(create_app(_web_settings(site.home, sqlite_url(site.file)))) as fresh:
        for path in (HEALTH, "/readyz"):
            answer = fresh.test_client().get(path)
            assert answer.status_code == 503
            assert "SQLite file is missing" in answer.get_data(as_text=True)
    done = setup(site)
    assert done.returncode == 1
    assert "is missing, but a worker still runs" in done.stderr
    assert not site.file.exists()
    site.worker.child.stop()
    assert setup(site).returncode == 0
    assert site.file.exists()


@contextmanager
def closing_web(app: Flask) -> Iterator[Flask]:
    """Close what `app` has open at the end."""
    yield app
    with app.app_context():
        db.engine.dispose()


def setup(site: Site) -> subprocess.CompletedProcess[str]:
    """Run the set-up in the home of the worker."""
    secrets = {"HAWSER_SECRET_KEY": "k" * 40, "HAWSER_ADMIN_PASSWORD": "a-long-password"}
    environment = worker_environment(site.home, sqlite_url(site.file)) | secrets
    return subprocess.run(
        [sys.executable, "-m", "webapp", "setup"],
        cwd=ROOT,
        env=environment,
        text=True,
        capture_output=True,
        timeout=60,
        check=False,
    )
