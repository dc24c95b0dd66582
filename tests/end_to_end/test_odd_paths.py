"""A checkout and a data directory whose paths hold what other programs give a meaning to."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.end_to_end.conftest import end
from tests.end_to_end.product import ROOT, Product

#: What the product is made of; tests and documents stay behind.
PARTS = ("database", "demo", "mqttworker", "ops", "requirements", "static", "templates", "webapp")


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[Product]:
    """The product in odd places, not started."""
    checkout = tmp_path / "100% of %(here)s" / "caf\u00e9 \"a\" \\b 'c' $HOME"
    for part in PARTS:
        shutil.copytree(ROOT / part, checkout / part)
    for path in (*ROOT.glob("*.py"), ROOT / "supervisord.conf"):
        shutil.copy(path, checkout)
    (checkout / ".venv").symlink_to(sys.prefix)
    # Platforms set WEB_CONCURRENCY; it is gunicorn's, and Hawser's web is one process.
    made = Product(tmp_path, WEB_CONCURRENCY="x")
    made.checkout = checkout
    made.home = tmp_path / 'who?x=1 a%2Fb #2 "c" \\d'
    yield made
    end(made)


def test_everything_runs_from_places_with_odd_names(odd: Product, tmp_path: Path) -> None:
    odd.start("--no-demo").wait_for_output("Hawser is ready", 120)
    assert odd.get("/readyz")[0] == 200
    odd.import_connections([{"name": "p", "site": "s", "host": "127.0.0.1", "is_enabled": False}])
    assert odd.manage("connections", "export").stdout.count('"name": "p"') == 1
    assert odd.pid_of("mqttworker") > 0
    odd.wait_for_status(200, 20)
    assert (odd.home / "hawser.db").is_file()
    assert (odd.home / "worker.lock").is_file()
    # Nothing was made beside them.
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"100% of %(here)s", odd.home.name, "run-1.log", "records.json"}
    assert odd.stop() == 0
