"""The real web server, asked in bytes: what the application never gets to see."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ENCRYPTION_KEY
from tests.support.databases import Databases
from tests.support.process import HOST, Child, accepts, free_port
from webapp.front.headers import HEADERS

ROOT = Path(__file__).parents[2]
#: An answer that must end the connection by itself is here by then, seconds.
DEADLINE = 10
Ask = Callable[[bytes], bytes]
END = b"Host: hawser.example\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def ask(sqlite_databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A function that sends bytes to a running server and returns all that comes back."""
    port = free_port()
    home = tmp_path_factory.mktemp("server")
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with sqlite_databases.migrated() as url:
        environment = {
            "PATH": "/usr/bin:/bin",
            "HAWSER_HOME": str(home),
            "HAWSER_DATABASE_URL": url,
            "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
            "HAWSER_SECRET_KEY": "k" * 40,
            "HAWSER_BIND": f"{HOST}:{port}",
        }
        with Child(command, home / "log", env=environment, cwd=ROOT) as web:
            web.wait_for(lambda: accepts(port), 60, "the web server to listen")
            yield lambda sent: _exchange(port, sent)
            assert "Traceback" not in web.output(), web.output()


def _exchange(port: int, sent: bytes) -> bytes:
    with socket.create_connection((HOST, port), DEADLINE) as connection:
        connection.sendall(sent)
        received = b""
        while piece := connection.recv(65_536):
            received += piece
    return received


def check(answer: bytes, status: bytes) -> None:
    """Assert that an answer has a status, our headers, and no word of what was sent."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == status, answer
    for name, value in HEADERS.items():
        assert f"{name}: {value}".encode() in head
    lower = answer.lower()
    assert b"gunicorn" not in lower
    assert b"python" not in lower
    assert b"werkzeug" not in lower
    assert b"evil" not in lower
    assert b"<h1>" in body


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + END, b"414"),
        (b"GET / HTTP/1.1\r\nEvil: " + b"b" * 9_000 + b"\r\n" + END, b"431"),
        (b"GET / HTTP/1.1\r\n" + b"Evil: 1\r\n" * 300 + END, b"431"),
        (b"<evil> / HTTP/1.1\r\n" + END, b"400"),
        (b"GET /\xff\xfe<evil> HTTP/1.1\r\n" + END, b"400"),
        (b"GET / HTTP/9.9\r\n" + END, b"400"),
        (b"GET / HTTP/1.1\r\nEvil header\r\n" + END, b"400"),
        (b"TRACE /livez HTTP/1.1\r\nEvil: 1\r\n" + END, b"405"),
        (b"EVIL /login HTTP/1.1\r\n" + END, b"405"),
        # Two lengths: a proxy in front could take another request out of the body.
        (
            b"POST /login HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n" + END,
            b"400",
        ),
        (b"POST /login HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n" + END, b"400"),
        (b"POST /login HTTP/1.1\r\nContent-Length: 99999999999\r\n" + END, b"413"),
        (b"POST /login HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + END + b"evil\r\n", b"400"),
    ],
    ids=lambda value: ascii(value[:24]),
)
def test_what_is_no_request_is_refused_in_our_words(ask: Ask, sent: bytes, status: bytes) -> None:
    check(ask(sent), status)


@pytest.mark.parametrize(
    "path",
    ["/static/../wsgi.py", "/static/..%2fwsgi.py", "/admin/static/..%2f..%2fwsgi.py", "/.git/HEAD"],
)
def test_no_path_leads_out_of_the_static_files(ask: Ask, path: str) -> None:
    check(ask(b"GET " + path.encode() + b" HTTP/1.1\r\n" + END), b"404")


def test_a_host_of_the_clients_choice_leads_nowhere(ask: Ask) -> None:
    sent = b"GET /admin HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: evil.example\r\n"
    answer = ask(sent + b"X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n")
    assert b"\r\nLocation: /admin/\r\n" in answer
    assert b"evil" not in answer
    assert b"Strict-Transport-Security" not in answer


def test_no_header_names_the_server_or_its_version(ask: Ask) -> None:
    answer = ask(b"GET /login HTTP/1.1\r\n" + END)
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"\r\nserver: hawser\r\n" in head
    assert not any(word in head for word in (b"gunicorn", b"python", b"flask", b"x-powered-by"))
