"""Where the shared contract is played: a broker, the transport to it, and an onlooker."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import gevent

from mqttworker.adapters.broker_transport import BrokerTransport
from mqttworker.adapters.fake_broker import FakeBroker
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import Transport
from tests.support.observer import Observer
from tests.support.process import HOST, Child, accepts, free_port
from tests.worker.contract.sessions import PATIENCE, in_thread, spec_for

ROOT = Path(__file__).parents[3]
#: The login that every venue takes.
USER, PASSWORD = "demo", "right-password"


class Venue(Protocol):
    """A broker of one kind, seen from outside."""

    transport: Transport

    def spec(self, **changes: Any) -> ConnectionSpec:
        """Return a spec for this broker with the right login."""

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """Publish as another client; return once the broker has it."""

    def wait_for(self, topic: str, payload: bytes) -> None:
        """Wait until this was published."""

    def wait_for_count(self, topic: str, count: int) -> None:
        """Wait until so many messages were published on a topic."""

    def payloads(self, topic: str) -> list[bytes]:
        """Return all that was published on a topic so far."""

    def retained(self, topic: str) -> bytes:
        """Return the retained message of a topic."""


class FakeVenue:
    """The broker in memory."""

    def __init__(self, broker: FakeBroker, transport: Transport) -> None:
        self.broker = broker
        self.transport = transport

    def spec(self, **changes: Any) -> ConnectionSpec:
        host, port = self.broker.address
        login = {"host": host, "username": USER, "password": PASSWORD}
        return spec_for(**{"port": port, **login, **changes})

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        self.broker.publish(topic, payload, qos, retain)

    def wait_for(self, topic: str, payload: bytes) -> None:
        self._wait(lambda: payload in self.payloads(topic), f"{payload!r} on {topic}")

    def wait_for_count(self, topic: str, count: int) -> None:
        self._wait(lambda: len(self.payloads(topic)) >= count, f"{count} on {topic}")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, what
            gevent.sleep(0)

    def payloads(self, topic: str) -> list[bytes]:
        return [item.payload for item in self.broker.published if item.topic == topic]

    def retained(self, topic: str) -> bytes:
        return self.broker.retained[topic].payload


class RealVenue:
    """A real broker on loopback and an onlooker that hears everything."""

    def __init__(self, port: int, hub_loop: HubLoop, login: tuple[str, str]) -> None:
        self.transport: Transport = BrokerTransport(hub_loop, max_packet_bytes=1_048_576)
        self._port = port
        self._user, self._password = login
        self._onlooker = self._observer("#")

    @contextmanager
    def watched(self) -> Iterator[RealVenue]:
        """Have the onlooker there."""
        in_thread(self._onlooker.start)
        try:
            yield self
        finally:
            in_thread(self._onlooker.stop)

    def _observer(self, topic_filter: str) -> Observer:
        return Observer(self._port, (topic_filter,), username=self._user, password=self._password)

    def spec(self, **changes: Any) -> ConnectionSpec:
        login = {"username": self._user, "password": self._password}
        return spec_for(**{"port": self._port, **login, **changes})

    def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        started = time.monotonic()
        in_thread(self._onlooker.publish, topic, payload, qos=qos, retain=retain)
        # amqtt acknowledges first: who subscribes before it has forwarded gets the message live.
        in_thread(self._onlooker.wait_for, topic, payload, after=started)

    def wait_for(self, topic: str, payload: bytes) -> None:
        in_thread(self._onlooker.wait_for, topic, payload)

    def wait_for_count(self, topic: str, count: int) -> None:
        in_thread(self._onlooker.wait, lambda: len(self._onlooker.of(topic)) >= count)

    def payloads(self, topic: str) -> list[bytes]:
        return [message.payload for message in self._onlooker.of(topic)]

    def retained(self, topic: str) -> bytes:
        return in_thread(self._retained, topic)

    def _retained(self, topic: str) -> bytes:
        with self._observer(topic) as observer:
            # Nobody publishes meanwhile: what comes now was retained.
            observer.wait(lambda: observer.of(topic))
            return observer.of(topic)[0].payload


@contextmanager
def running_amqtt(home: Path) -> Iterator[tuple[int, tuple[str, str]]]:
    """Run the demo broker; yield its port and login."""
    (home / "demo-broker-password").write_text(PASSWORD + "\n", encoding="utf-8")
    port = free_port()
    env = {
        "PATH": os.environ["PATH"],
        "HAWSER_HOME": str(home),
        "HAWSER_DEMO_BROKER_PORT": str(port),
    }
    command = [sys.executable, "-m", "demo.broker"]
    with Child(command, home / "amqtt.log", env=env, cwd=ROOT) as child:
        child.wait_for(lambda: accepts(port), PATIENCE, f"a listener on {HOST}:{port}")
        yield port, (USER, PASSWORD)
