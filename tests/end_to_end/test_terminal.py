"""What a terminal that is closed leaves behind: nothing, or what `supervisorctl status` names."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops import worker_process
from tests.end_to_end.conftest import end
from tests.end_to_end.product import ROOT, Product, exists
from tests.support.process import wait_until

#: supervisord stops its programs one after another.
STOPPED_WITHIN = 40.0


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    made = Product(tmp_path)
    yield made
    end(made)


class Terminal:
    """A terminal of its own in which `manage.py run` is started by a shell, as people do."""

    def __init__(self, product: Product, before: str = "") -> None:
        run = f"{sys.executable} {ROOT / 'manage.py'} run --no-demo --port {product.port}"
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            # Whoever runs these tests may ignore it, and what ignores it hands that on.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            os.execve("/bin/sh", ["sh", "-c", f"{before} {run}"], product.environment)

    def wait_for(self, words: str) -> None:
        """Read until the programs have written `words`."""
        seen = b""
        while words.encode() not in seen:
            seen += os.read(self._master, 65_536)

    def close(self) -> None:
        """Close it, as a lost ssh does."""
        os.close(self._master)


def test_a_closed_terminal_stops_everything(product: Product) -> None:
    terminal = Terminal(product)
    terminal.wait_for("Hawser is ready")
    (worker,) = wait_for_workers(product)
    supervisor = int((product.home / "supervisord.pid").read_text(encoding="ascii"))
    terminal.close()
    wait_until(lambda: not exists(worker), STOPPED_WITHIN, "the worker to end")
    wait_until(lambda: not exists(supervisor), STOPPED_WITHIN, "supervisord to end")
    assert worker_process.find(product.home) == []
    # supervisord removes it as its last deed: it was not killed.
    assert not (product.home / "supervisord.pid").exists()
    done = product.manage("supervisorctl", "status")
    assert (done.returncode, done.stderr.count("lives on")) == (1, 0)


def test_a_run_under_nohup_outlives_its_terminal(product: Product) -> None:
    terminal = Terminal(product, "trap '' HUP; exec")
    terminal.wait_for("Hawser is ready")
    terminal.close()
    (worker,) = wait_for_workers(product)
    done = product.manage("supervisorctl", "status", "mqttworker")
    assert f"pid {worker}" in done.stdout
    assert product.get("/livez")[0] == 200
    assert product.manage("supervisorctl", "shutdown").returncode == 0
    wait_until(lambda: not exists(worker), STOPPED_WITHIN, "the worker to end")


def test_a_worker_that_lives_on_is_named_with_what_ends_it(product: Product) -> None:
    product.start("--no-demo").wait_for_output("Hawser is ready", 60)
    (worker,) = wait_for_workers(product)
    assert worker_process.orphans(product.home) == []
    assert product.child is not None
    product.child.kill()
    done = product.manage("supervisorctl", "status")
    assert done.returncode == 1
    assert f"`kill {worker}` ends it" in done.stderr
    again = product.start("--no-demo")
    again.wait_for_output(f"`kill {worker}` ends it", 60)
    again.wait_for_output("Hawser is ready", 60)
    wait_until(lambda: not exists(worker), 20, "the worker to hand over")


def test_a_worker_that_lives_on_ends_as_it_is_told(product: Product) -> None:
    product.start("--no-demo").wait_for_output("Hawser is ready", 60)
    (worker,) = wait_for_workers(product)
    assert product.child is not None
    product.child.kill()
    said = product.manage("supervisorctl", "status").stderr
    words = said.rpartition("`kill")[2].partition("`")[0]
    subprocess.run(["kill", *words.split()], check=True)
    wait_until(lambda: not exists(worker), 10, "the worker to end")
    assert "lives on" not in product.manage("supervisorctl", "status").stderr


def wait_for_workers(product: Product) -> list[int]:
    """Return the process ids of the workers, as soon as there is one."""
    wait_until(lambda: worker_process.find(product.home), 20, "a worker")
    return worker_process.find(product.home)
