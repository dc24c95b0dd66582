"""The product running, with nothing or with a fleet of connections to a real mosquitto."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.product import HOSTNAME, STOP_TIMEOUT, Product, children_of
from tests.support.mosquitto import Mosquitto
from tests.support.observer import Observer

FLEET = 25


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here; it takes longer than other tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.end_to_end)


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    """The product, not started; whatever is started is ended, even if supervisord hangs."""
    made = Product(tmp_path, HAWSER_MONITOR_INTERVAL="2")
    yield made
    end(made)


def end(product: Product) -> None:
    """End what still runs of a product."""
    if product.child is None or not product.child.running:
        return
    children = children_of(product.child.pid)
    product.child.stop(signal.SIGTERM, STOP_TIMEOUT)
    assert not {pid for pid in children if Path(f"/proc/{pid}").exists()}


@dataclass(frozen=True)
class Fleet:
    """A running product whose connections all lead to one mosquitto, and somebody who watches."""

    product: Product
    broker: Mosquitto
    observer: Observer

    @property
    def topics(self) -> list[str]:
        """The status topics, in the order of the records."""
        return [f"{record['site']}/backend/status" for record in records(self.broker)]

    def all_say(self, payload: bytes) -> dict[str, bytes]:
        """Return the state of the status topics in which each says `payload`."""
        return dict.fromkeys(self.topics, payload)


def records(broker: Mosquitto) -> list[dict[str, Any]]:
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


@pytest.fixture
def fleet(product: Product, start_mosquitto: Callable[..., Mosquitto]) -> Iterator[Fleet]:
    """A fleet, imported into the running product and connected."""
    broker = start_mosquitto()
    with Observer(broker.port, ("+/backend/status",)) as observer:
        product.start("--no-demo").wait_for_output("Hawser is ready", 30)
        product.import_connections(records(broker))
        found = Fleet(product, broker, observer)
        observer.wait_for_latest(found.all_say(b"online"), 10)
        product.wait_for_connected(FLEET, 10)
        yield found
        # While the broker still runs, or every test would end in a wait for it.
        end(product)


__all__ = ["FLEET", "HOSTNAME", "Fleet", "end", "fleet", "product", "records"]
