"""The real web server and clients that are slow on purpose: nobody waits for them."""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

from bench import proc
from database.session import make_engine
from tests.conftest import ENCRYPTION_KEY
from tests.support.databases import Databases
from tests.support.process import HOST, Child, accepts, free_port, wait_until
from tests.web.conftest import SECRET_KEY, signed_in
from webapp import store
from webapp.app import create_app
from webapp.front import cookies
from webapp.settings import WebSettings

ROOT = Path(__file__).parents[2]
#: Far more than an answer takes, and far less than until a slow client is thrown out, seconds.
SOON, LATE = 10.0, 60.0
START_TIMEOUT = 60.0
#: More than there are threads.
CROWD = store.ALL_THREADS + 10
HEAD = b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: x\r\n"
#: Answers that fill what the kernel keeps for a client, many times over.
MANY = b"GET /static/app.css HTTP/1.1\r\nHost: x\r\n\r\n" * 300
#: Pages that wait for a lock, and the statement that counts them.
PAGES = 32
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
#: Starts gunicorn after setting deadlines.
START = """
import sys
from webapp.server import channel
channel.HEAD_S = channel.BODY_S = channel.ANSWER_S = float(sys.argv.pop(1))
from gunicorn.app.wsgiapp import run
run()
"""


class Server(NamedTuple):
    """A running server, its port and its database."""

    port: int
    web: Child
    url: str


@contextmanager
def serving(home: Path, databases: Databases, deadline: float, *options: str) -> Iterator[Server]:
    """A running server whose clients have `deadline` seconds for each thing."""
    port = free_port()
    command = [sys.executable, "-c", START, str(deadline), "-c", "gunicorn.conf.py"]
    with databases.migrated() as url:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HAWSER_HOME": str(home),
            "HAWSER_DATABASE_URL": url,
            "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "HAWSER_SECRET_KEY": SECRET_KEY,
            "HAWSER_BIND": f"{HOST}:{port}",
        }
        arguments = [*command, *options, "wsgi:app"]
        with Child(arguments, home / "log", env=environment, cwd=ROOT) as web:
            web.wait_for(lambda: accepts(port), START_TIMEOUT, "the web server to listen")
            assert ask(port, LIVEZ, START_TIMEOUT).startswith(b"HTTP/1.1 200")
            yield Server(port, web, url)
            assert "Traceback" not in web.output(), web.output()


@pytest.fixture(scope="module")
def patient(sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that throws nobody out during a test."""
    with serving(tmp_path_factory.mktemp("patient"), sqlite_databases, LATE) as server:
        yield server.port


@pytest.fixture(scope="module")
def strict(sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server that waits for half a second."""
    with serving(tmp_path_factory.mktemp("strict"), sqlite_databases, 0.5) as server:
        yield server.port


def ask(port: int, head: bytes, seconds: float = SOON) -> bytes:
    """Return the whole answer to a request, after which the connection ends."""
    with client(port, head + b"Connection: close\r\n\r\n") as connection:
        connection.settimeout(seconds)
        return everything(connection)


def client(port: int, sent: bytes, window: int = 0) -> socket.socket:
    """Return a connection over which `sent` was sent; `window`: what is taken without a read."""
    connection = socket.socket()
    if window:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connection.settimeout(SOON)
    connection.connect((HOST, port))
    connection.sendall(sent)
    return connection


def cookie_of_a_viewer(home: Path, url: str) -> bytes:
    """Return the header of somebody who is signed in."""
    values: dict[str, Any] = {
        "home": home,
        "database_url": url,
        "secret_key": SECRET_KEY,
        "encryption_keys": ENCRYPTION_KEY,
    }
    app = create_app(WebSettings(**values))
    visitor = signed_in(app, "viewer")
    found = visitor.client.get_cookie(cookies.SESSION)
    assert found is not None
    with app.app_context():
        store.engine().dispose()
    return f"Cookie: {found.key}={found.value}\r\n".encode()


def stands(connection: socket.socket) -> bool:
    """Whether the server has not ended a connection."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True


def everything(connection: socket.socket) -> bytes:
    """Return all that comes until the connection ends."""
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    return received


@pytest.mark.parametrize(
    "sent",
    [b"GET / HTTP/1.1\r\nX-Slow: ", HEAD + b"Content-Length: 50\r\n\r\na", b"", MANY * 3],
    ids=["head", "body", "silent", "unread"],
)
def test_more_slow_clients_than_threads_hold_up_nobody(patient: int, sent: bytes) -> None:
    with ExitStack() as stay:
        crowd = [stay.enter_context(client(patient, sent, window=4_096)) for _ in range(CROWD)]
        assert ask(patient, LIVEZ).startswith(b"HTTP/1.1 200")
        # No worker has ever reported: that is the truth.
        health = ask(patient, b"GET /api/v1/mqtt/health/ HTTP/1.1\r\nHost: x\r\n")
        assert b"No worker has ever reported" in health
        assert b"<h1>" in ask(patient, b"GET /login HTTP/1.1\r\nHost: x\r\n")
        assert all(map(stands, crowd))


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"GET / HTTP/1.1\r\nX-Slow: ", b"HTTP/1.1 408 "),
        (HEAD + b"Content-Length: 50\r\n\r\na", b"HTTP/1.1 408 "),
        (b"", b""),
    ],
    ids=["head", "body", "silent"],
)
def test_a_client_that_sends_too_slowly_is_let_go(strict: int, sent: bytes, answer: bytes) -> None:
    with client(strict, sent) as connection:
        assert everything(connection).startswith(answer)


def test_a_client_that_does_not_read_is_cut_off(strict: int) -> None:
    with client(strict, MANY, window=4_096) as connection:
        # Only this shows that the server has closed, before anything is read.
        gone = time.monotonic() + SOON
        while connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO) != 7:  # TCP_CLOSE
            assert time.monotonic() < gone, "the connection still stands"
            time.sleep(0.05)
        with pytest.raises(ConnectionResetError):
            everything(connection)


def test_a_slow_but_steady_reader_gets_all_of_a_long_answer(strict: int) -> None:
    request = b"GET /static/app.css HTTP/1.1\r\nHost: x\r\n"
    sent = MANY + request + b"Connection: close\r\n\r\n"
    with client(strict, sent) as connection:
        whole = everything(connection)
    with client(strict, sent, window=4_096) as connection:
        received, ends = b"", time.monotonic() + 1.5
        while piece := connection.recv(16_384):
            received += piece
            # Three times as long as nothing may be taken.
            if time.monotonic() < ends:
                time.sleep(0.02)
    assert len(received) == len(whole)


def test_requests_in_one_piece_are_answered_in_order(patient: int) -> None:
    first = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    chunks = HEAD + b"Transfer-Encoding: chunked\r\n\r\n3\r\na=b\r\n0\r\n\r\n"
    with client(patient, first + first + chunks) as connection:
        answers = everything(connection)
    statuses = [line.split()[1] for line in answers.split(b"\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses[:2] == [b"200", b"200"]
    assert len(statuses) == 3


def test_a_client_that_asks_first_is_told_to_send_its_body(patient: int) -> None:
    with client(patient, HEAD + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n") as connection:
        assert connection.recv(100).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(b"a=b")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")


def test_a_process_that_hangs_is_replaced_and_one_that_stops_waits_for_no_slow_client(
    sqlite_databases: Databases, tmp_path: Path
) -> None:
    options = ("--timeout", "2", "--graceful-timeout", "120")
    with serving(tmp_path, sqlite_databases, LATE, *options) as (port, web, _):
        hung = proc.family(web.pid)[-1]
        os.kill(hung, signal.SIGSTOP)
        assert ask(port, LIVEZ, START_TIMEOUT).startswith(b"HTTP/1.1 200")
        assert hung not in proc.family(web.pid)
        with client(port, b"GET / HTTP/1.1\r\n"):
            web.send_signal(signal.SIGTERM)
            web.wait(START_TIMEOUT)


def test_pages_that_wait_for_a_lock_hold_up_neither_health_nor_other_pages(
    postgresql_databases: Databases, tmp_path: Path
) -> None:
    with serving(tmp_path, postgresql_databases, LATE) as (port, _web, url), ExitStack() as stay:
        cookie = cookie_of_a_viewer(tmp_path, url)
        engine = make_engine(url, statement_timeout_s=LATE)
        stay.callback(engine.dispose)
        lock = stay.enter_context(engine.begin())
        lock.execute(text("LOCK TABLE message IN ACCESS EXCLUSIVE MODE"))
        page = b"GET /admin/messages/ HTTP/1.1\r\nHost: x\r\n" + cookie + b"\r\n"
        for _ in range(PAGES):
            stay.enter_context(client(port, page))
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as looking:
            wait_until(lambda: looking.scalar(text(WAITING)) == PAGES, SOON, "pages that wait")
            health = ask(port, b"GET /api/v1/mqtt/health/ HTTP/1.1\r\nHost: x\r\n" + cookie)
            assert b"No worker has ever reported" in health
            assert ask(port, LIVEZ + cookie).startswith(b"HTTP/1.1 200")
            assert b"<h1>" in ask(port, b"GET /admin/events/ HTTP/1.1\r\nHost: x\r\n" + cookie)
            # All that was asked within the time that a statement may wait.
            assert looking.scalar(text(WAITING)) == PAGES
