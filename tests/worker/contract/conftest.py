"""The asyncio loop on the hub, and transports on it."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import gevent
import pytest

from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.spec import ConnectionSpec
from tests.worker.contract.sessions import Try, settle, tasks_left

#: What the worker takes by default, bytes.
MAX_PACKET = 1_048_576

OpenTry = Callable[..., Try]


@pytest.fixture
def hub_loop() -> Iterator[HubLoop]:
    """The loop, running; at the end nothing may be left on it."""
    made = HubLoop()
    greenlet = made.start()
    yield made
    left = tasks_left(made)
    # What was dropped must be closed by now, or the collector says so and the test fails.
    gc.collect(1)
    settle(made)
    made.stop()
    assert greenlet.dead
    made.loop.close()
    assert left == set()


@pytest.fixture
def transport(hub_loop: HubLoop) -> BrokerTransport:
    """The transport that the product ships."""
    return BrokerTransport(hub_loop, max_packet_bytes=MAX_PACKET)


@pytest.fixture
def open_try(transport: BrokerTransport) -> Iterator[OpenTry]:
    """A function that opens a session; what a test leaves open is dropped."""
    tries: list[Try] = []

    def start(spec: ConnectionSpec, protocol: str = "5") -> Try:
        tries.append(Try(transport, spec, protocol))
        return tries[-1]

    yield start
    for each in tries:
        each.session.abort()
    gevent.idle()
