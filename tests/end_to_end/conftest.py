"""The product running, with nothing or with a fleet of connections to a real mosquitto."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.product import STOP_TIMEOUT, Product, children_of, exists
from tests.support import mosquitto
from tests.support.observer import Observer

FLEET = 25


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here; it takes longer than other tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.end_to_end)
            if {"fleet", "own_fleet"} & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.broker)


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """The product, not started; whatever is started is ended, even if supervisord hangs."""
    made = Product(tmp_path)
    yield made
    end(made)


def end(product: Product) -> None:
    """End what still runs of a product."""
    if product.child is None or not product.child.running:
        return
    children = children_of(product.child.pid)
    product.child.stop(signal.SIGTERM, STOP_TIMEOUT)
    assert not [pid for pid in children if exists(pid)]


@dataclass(frozen=True)
class Fleet:
    """A running product whose connections all lead to one mosquitto, and somebody who watches."""

    product: Product
    broker: mosquitto.Mosquitto
    observer: Observer

    @property
    def topics(self) -> list[str]:
        """The status topics, in the order of the records."""
        return [f"{record['site']}/backend/status" for record in records(self.broker)]

    def all_say(self, payload: bytes) -> dict[str, bytes]:
        """Return the state of the status topics in which each says `payload`."""
        return dict.fromkeys(self.topics, payload)

    def settle(self) -> None:
        """Bring everything back to how a test expects to find it."""
        if not self.product.pid_of("mqttworker"):
            self.product.manage("supervisorctl", "start", "mqttworker")
        self.product.import_connections(records(self.broker))
        self.observer.wait_for_latest(self.all_say(b"online"), 15)
        self.product.wait_for_connected(FLEET, 15)


def records(broker: mosquitto.Mosquitto) -> list[dict[str, Any]]:
    """Return the records of the fleet."""
    return [
        {
            "name": f"plant-{number}",
            "site": f"site_{number}",
            "host": broker.host,
            "port": broker.port,
            "is_enabled": True,
            "subscriptions": [{"topic_filter": f"site_{number}/commands/#", "qos": 1}],
        }
        for number in range(1, FLEET + 1)
    ]


@contextmanager
def running_fleet(directory: Path) -> Iterator[Fleet]:
    """Yield a fleet, imported into a running product and connected."""
    if mosquitto.executable() is None:
        pytest.skip("mosquitto is not installed (Debian: mosquitto)")
    product = Product(directory, HAWSER_MONITOR_INTERVAL="2")
    with mosquitto.Mosquitto(directory) as broker:
        try:
            with Observer(broker.port, ("+/backend/status",)) as observer:
                product.start("--no-demo").wait_for_output("Hawser is ready", 60)
                fleet = Fleet(product, broker, observer)
                fleet.settle()
                yield fleet
        finally:
            # While the broker still runs: without it the worker would wait for its answers.
            end(product)


@pytest.fixture(scope="module")
def shared_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One fleet for the tests of a file."""
    with running_fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


@pytest.fixture
def fleet(shared_fleet: Fleet) -> Fleet:
    """The shared fleet, all connected again whatever the test before did to it."""
    shared_fleet.settle()
    return shared_fleet


@pytest.fixture
def own_fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A fleet for one test that ends it."""
    with running_fleet(tmp_path) as fleet:
        yield fleet
