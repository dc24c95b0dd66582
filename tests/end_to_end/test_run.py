"""`manage.py run`: what a newcomer sees, and what stops it from starting."""

from __future__ import annotations

import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import surroundings
from tests.end_to_end.conftest import end
from tests.end_to_end.product import Product, children_of, exists
from tests.support.process import HOST, Child, free_port, wait_until


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """A product in its first run, for tests that only look at it."""
    made = Product(tmp_path_factory.mktemp("first"))
    try:
        made.start().wait_for_output("Hawser is ready", 60)
        yield made
    finally:
        end(made)


def run_of(product: Product) -> Child:
    assert product.child is not None
    return product.child


def test_the_first_run_leads_to_pass_with_the_sample_connected(first_run: Product) -> None:
    first_run.wait_for_connected(1, 15)
    status, body = first_run.health()
    assert (status, body["status"]) == (200, "pass")
    assert [item["name"] for item in body["connections"]] == ["demo"]
    password = (first_run.home / "admin-password").read_text(encoding="utf-8").strip()
    assert run_of(first_run).output().count(password) == 1


def test_nobody_else_can_read_what_the_first_run_keeps(first_run: Product) -> None:
    assert stat.S_IMODE(first_run.home.stat().st_mode) == 0o700
    secrets = ["admin-password", "demo-broker-password", "encryption-keys", "secret-key"]
    modes = {name: stat.S_IMODE((first_run.home / name).stat().st_mode) for name in secrets}
    assert modes == dict.fromkeys(secrets, 0o600)
    sockets = [path for path in first_run.home.iterdir() if path.is_socket()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in sockets} == {0o700}


def test_a_second_run_from_the_same_directory_says_that_it_runs(first_run: Product) -> None:
    second = first_run.manage("run", "--port", str(free_port()))
    assert second.returncode == 1
    assert f"already runs from {first_run.home}" in second.stderr
    assert run_of(first_run).running


@pytest.mark.alone
def test_a_second_run_answers_soon_and_keeps_quiet(product: Product) -> None:
    """Measured beside a command, which loads most of the code: machines differ."""
    product.start("--no-demo").wait_for_output("Hawser is ready", 60)
    assert product.stop() == 0
    password = (product.home / "admin-password").read_text(encoding="utf-8").strip()
    began = time.monotonic()
    assert product.manage("accounts", "list").returncode == 0
    reference = time.monotonic() - began
    began = time.monotonic()
    run = product.start("--no-demo")
    wait_until(lambda: product.health()[0] == 200, 20, run.output)
    assert time.monotonic() - began < max(5, 4 * reference)
    assert password not in run.output()


@pytest.mark.timing
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_everything_with_status_0(product: Product, number: signal.Signals) -> None:
    run = product.start()
    product.wait_for_connected(1, 30)
    children = children_of(run.pid)
    assert len(children) >= 3
    began = time.monotonic()
    assert product.stop(number) == 0
    assert time.monotonic() - began < 10
    assert not [pid for pid in children if exists(pid)]


def test_a_taken_port_is_one_sentence(product: Product) -> None:
    with socket.create_server((HOST, product.port)):
        run = product.start()
        assert run.wait() == 1
    assert run.output().startswith(f"manage.py: Port {product.port} on {HOST} cannot be used")
    assert run.output().count("\n") == 1
    assert not list(product.home.iterdir())


def test_a_taken_port_of_the_demo_broker_is_one_sentence(product: Product) -> None:
    with socket.create_server((HOST, product.broker_port)):
        run = product.start()
        assert run.wait() == 1
    assert "HAWSER_DEMO_BROKER_PORT" in run.output()
    assert run.output().count("\n") == 1


@pytest.mark.parametrize("name", ["HAWSER_SHUTDOWN_TIMEOUT", "HAWSER_HEALTH_ANONYMOUS"])
def test_a_wrong_setting_is_one_sentence(tmp_path: Path, name: str) -> None:
    run = Product(tmp_path, **{name: "soon"}).start("--no-demo")
    assert run.wait(30) == 2
    last = run.output().splitlines()[-1]
    assert last.startswith(f"hawser: {name}")
    assert "Traceback" not in run.output()


def test_commands_for_a_product_that_does_not_run_say_so(product: Product) -> None:
    done = product.manage("supervisorctl", "status")
    assert done.returncode == 1
    assert "Hawser is not running" in done.stderr


def test_a_deep_data_directory_works(tmp_path: Path) -> None:
    deep = Product(tmp_path / ("d" * 90))
    (tmp_path / ("d" * 90)).mkdir()
    deep.start("--no-demo").wait_for_output("Hawser is ready", 60)
    try:
        assert deep.pid_of("mqttworker") > 0
    finally:
        assert deep.stop() == 0
        surroundings.supervisor_socket(deep.home).parent.rmdir()


def test_lines_of_every_program_survive_in_a_log_file(product: Product) -> None:
    run = product.start("--no-demo")
    run.wait_for_output("Hawser is ready", 60)
    assert product.stop() == 0
    words = ["First account", "spawned: 'mqttworker'", '"event": "running"', "stopped: mqttworker"]
    assert [word for word in words if word not in run.output()] == []
    assert "\x00" not in run.output()
