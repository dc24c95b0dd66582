"""The smaller parts behind manage.py: ports, sockets, output, Debian's services."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo import login
from ops import listening, surroundings, system_packages
from ops.errors import CommandError
from tests.support.process import HOST, free_port

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_free_port_is_accepted() -> None:
    listening.require_free(f"{HOST}:{free_port()}", "cure")


@pytest.mark.parametrize("host", [HOST, "0.0.0.0", "localhost"])
def test_a_taken_port_is_refused_with_its_cure(host: str) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(CommandError, match=f"^Port {port} on {host} cannot be used .*: cure.$"):
            listening.require_free(f"{host}:{port}", "cure")


@pytest.mark.parametrize("bind", ["127.0.0.1:70000", "127.0.0.1:0", "no-such-host.invalid:8000"])
def test_an_impossible_address_is_refused(bind: str) -> None:
    with pytest.raises(CommandError):
        listening.require_free(bind, "cure")


@pytest.mark.parametrize(
    ("bind", "url"),
    [
        ("127.0.0.1:8000", "http://127.0.0.1:8000/"),
        ("0.0.0.0:80", "http://127.0.0.1:80/"),
        ("[::]:8000", "http://[::1]:8000/"),
        ("[fe80::1]:8000", "http://[fe80::1]:8000/"),
        ("unix:/run/hawser.sock", "unix:/run/hawser.sock"),
    ],
)
def test_the_address_for_a_browser(bind: str, url: str) -> None:
    assert listening.url(bind) == url


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[Path]:
    """A data directory whose path is too long for a socket."""
    home = surroundings.home_directory(str(tmp_path / ("d" * 100)))
    yield home
    surroundings.supervisor_socket(home).parent.rmdir()


def test_a_short_home_keeps_its_socket() -> None:
    assert surroundings.supervisor_socket(Path("/srv/hawser")) == Path(
        "/srv/hawser/supervisor.sock"
    )


def test_a_deep_home_gets_a_socket_in_a_directory_of_its_own(deep: Path) -> None:
    path = surroundings.supervisor_socket(deep)
    assert len(os.fsencode(path)) <= surroundings.MAX_SOCKET_PATH
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_socket_directory_that_others_may_enter_is_refused(deep: Path) -> None:
    directory = surroundings.supervisor_socket(deep).parent
    directory.chmod(0o755)
    with pytest.raises(CommandError, match="belongs to somebody else"):
        surroundings.supervisor_socket(deep)
    directory.chmod(0o700)


def test_the_demo_password_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    first = login.prepare(tmp_path).read_text(encoding="utf-8")
    assert login.prepare(tmp_path).read_text(encoding="utf-8") == first
    assert len(first.strip()) >= 24
    assert login.prepare(tmp_path).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("port", ["0", "70000", "mqtt", "-1", "1883.5"])
def test_a_bad_demo_port_is_a_sentence(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAWSER_DEMO_BROKER_PORT", port)
    with pytest.raises(ValueError, match="HAWSER_DEMO_BROKER_PORT must be a port"):
        login.port()


RELAYED = "from ops import output; output.make_reopenable(); open('/dev/fd/1', 'w').write('here')"


def test_a_socket_as_standard_output_can_be_opened_by_name() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        subprocess.run(
            [sys.executable, "-c", RELAYED], cwd=ROOT, stdout=theirs.fileno(), check=True
        )
        theirs.close()
        ours.settimeout(5)
        assert ours.recv(100) == b"here"


def test_a_file_as_standard_output_is_appended_to(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("w") as file:
        script = f"{RELAYED}; import os; os.write(1, b' and here')".replace("'w'", "'a'")
        subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=file, check=True)
    assert log.read_text(encoding="utf-8") == "here and here"


def test_a_package_is_present_when_its_program_is() -> None:
    found = system_packages.SystemPackage("coreutils", "ls")
    by_pattern = system_packages.SystemPackage("coreutils", "/usr/bin/l[s]")
    missing = system_packages.SystemPackage("nothing", "no-such-program-anywhere")
    states = [package.is_present() for package in (found, by_pattern, missing)]
    assert states == [True, True, False]


def test_no_service_starts_while_packages_are_installed(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with system_packages.no_service_starts(policy):
        assert subprocess.run([policy], check=False).returncode == 101
    assert not policy.exists()


def test_a_policy_of_the_machine_is_left_alone(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("its own", encoding="utf-8")
    with system_packages.no_service_starts(policy):
        pass
    assert policy.read_text(encoding="utf-8") == "its own"
