"""HAWSER_BIND: it works with everything that asks for the web, or is refused by name."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import listening, livez
from ops.bind_address import bind_addresses, problem, unknown_name, with_port
from ops.errors import CommandError, SettingError
from tests.conftest import ENCRYPTION_KEY
from tests.support.process import HOST, Child, free_port

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "read", "url"),
    [
        ("127.0.0.1:8000", "127.0.0.1:8000", "http://127.0.0.1:8000/"),
        ("127.0.0.1", "127.0.0.1:8000", "http://127.0.0.1:8000/"),
        (" localhost:80\n", "localhost:80", "http://localhost:80/"),
        (":8000", "0.0.0.0:8000", "http://127.0.0.1:8000/"),
        ("0.0.0.0:80", "0.0.0.0:80", "http://127.0.0.1:80/"),
        ("[::1]:8000", "[::1]:8000", "http://[::1]:8000/"),
        ("[::1]", "[::1]:8000", "http://[::1]:8000/"),
        ("::1", "[::1]:8000", "http://[::1]:8000/"),
        ("[::]:8000", "[::]:8000", "http://[::1]:8000/"),
        ("::", "[::]:8000", "http://[::1]:8000/"),
        ("unix:/run/hawser/web.sock", "unix:/run/hawser/web.sock", "unix:/run/hawser/web.sock"),
        ("unix:///run/a b.sock", "unix:/run/a b.sock", "unix:/run/a b.sock"),
        ("127.0.0.1:1, unix:/x", "127.0.0.1:1,unix:/x", "http://127.0.0.1:1/"),
    ],
)
def test_an_address_is_read_and_shown(text: str, read: str, url: str) -> None:
    assert ",".join(map(str, bind_addresses(text))) == read
    assert listening.url(text) == url


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", ",", "127.0.0.1:8000,", "127.0.0.1:", ":", "::1:", "[::1]8000", "[::1]:"),
        *("127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:http", "127.0.0.1:-1", "127.0.0.1:8 0"),
        *("127.0.0.1:\u0661", "127.0.0.1:8000:1", "http://127.0.0.1:8000", "tcp://127.0.0.1:1"),
        *("fd://3", "*:8000", "[foo]:8000", "[fe80::1%eth0]:8000", "a b:80", "\x1b[0m:80"),
        *("x" * 64, "a..b:80", f"a.{'x' * 64}.b:80"),
        *("unix:", "unix:web.sock", "unix:/", "unix:/run/", "unix:/" + "x" * 108, "unix:/a\nb"),
    ],
)
def test_what_is_no_address_is_refused_by_name(text: str) -> None:
    with pytest.raises(SettingError, match=r"^HAWSER_BIND (must be|needs) ") as refusal:
        listening.require_free(text, "cure")
    assert str(refusal.value).isprintable()
    assert refusal.value.status == 2


def test_a_host_that_nobody_knows_is_refused_by_name() -> None:
    (address,) = bind_addresses("no-such-host.invalid")
    assert "cannot be looked up here" in (unknown_name(address) or "")
    with pytest.raises(SettingError, match="HAWSER_BIND cannot be listened on"):
        listening.require_free("no-such-host.invalid", "cure")


def test_an_address_of_another_machine_is_refused_by_name() -> None:
    with pytest.raises(SettingError, match=r"HAWSER_BIND cannot be listened on \(Cannot assign"):
        listening.require_free("192.0.2.1:8000", "cure")


def test_a_socket_that_cannot_be_made_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    for path in ("missing/web.sock", "file"):
        (address,) = bind_addresses(f"unix:{tmp_path / path}")
        assert (problem(address) or "").startswith("names a ")


def test_a_socket_that_is_in_use_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        with pytest.raises(CommandError, match="is in use"):
            listening.require_free(f"unix:{path}", "cure")


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("127.0.0.1:8000", "127.0.0.1:9000"),
        ("127.0.0.1", "127.0.0.1:9000"),
        (":8000", "0.0.0.0:9000"),
        ("[::1]:8000", "[::1]:9000"),
        ("::1", "[::1]:9000"),
    ],
)
def test_another_port_can_be_chosen(text: str, changed: str) -> None:
    assert with_port(text, 9000) == changed


@pytest.mark.parametrize("text", ["unix:/run/web.sock", "127.0.0.1:1,127.0.0.1:2"])
def test_another_port_cannot_be_chosen_for_what_has_none_or_several(text: str) -> None:
    with pytest.raises(ValueError, match="--port cannot change it"):
        with_port(text, 9000)


# --- the real server


@pytest.fixture(scope="module")
def binds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The web on a Unix socket, an IPv4 and an IPv6 address at once; without a database."""
    home = tmp_path_factory.mktemp("bind")
    port = free_port()
    found = [f"unix:{home / 'web.sock'}", f":{port}", f"[::1]:{free_port()}"]
    environment = {
        "PATH": os.environ["PATH"],
        "HAWSER_HOME": str(home),
        "HAWSER_ENCRYPTION_KEYS": ENCRYPTION_KEY,
        "HAWSER_SECRET_KEY": "k" * 40,
        "HAWSER_BIND": ",".join(found),
        # The container's health check asks without it.
        "SCRIPT_NAME": "/hawser",
    }
    command = [sys.executable, "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"]
    with Child(command, home / "log", env=environment, cwd=ROOT) as web:
        # It listens before its application is there.
        web.wait_for(lambda: livez.is_alive(found[1]), 60, "the web server to answer")
        yield found


def test_the_health_check_asks_wherever_the_web_listens(binds: list[str]) -> None:
    for bind in binds:
        done = subprocess.run(
            [sys.executable, "-m", "ops.livez"],
            cwd=ROOT,
            env={"HAWSER_BIND": bind, "http_proxy": "http://192.0.2.1:1"},
            check=False,
        )
        assert done.returncode == 0, bind
    assert not livez.is_alive(f"{HOST}:{free_port()}")


def test_a_health_check_with_a_wrong_address_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops.livez"],
        cwd=ROOT,
        env={"HAWSER_BIND": "foo bar"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("hawser: HAWSER_BIND must be an address and a port")
    assert done.stderr.count("\n") == 1
