"""An MQTT client that listens on a broker and remembers what came and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.process import HOST, free_port

WAIT_TIMEOUT = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Received:
    """One message; `at` is `time.monotonic()` of its arrival."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    at: float


class Observer:
    """Subscribes to `filters` on 127.0.0.1:`port`; a context manager starts and ends it."""

    def __init__(
        self,
        port: int,
        filters: tuple[str, ...] = ("#",),
        *,
        username: str | None = None,
        password: str | None = None,
        client_id: str | None = None,
    ) -> None:
        self.messages: list[Received] = []
        #: Times at which the broker closed the connection.
        self.lost_at: list[float] = []
        self._filters = filters
        self._port = port
        self._changed = threading.Condition()
        self._subscribed = False
        # Ports are unique in this process, so this is a unique name too.
        name = client_id or f"observer-{free_port()}"
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=name)
        if username is not None:
            self._client.username_pw_set(username, password)
        self._client.on_connect = self._on_connect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_message = self._on_message
        self._client.on_disconnect = self._on_disconnect
        self._client.reconnect_delay_set(1, 1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, seconds: float = WAIT_TIMEOUT) -> None:
        """Connect and return once the broker has granted the subscriptions."""
        self._client.connect(HOST, self._port, keepalive=60)
        self._client.loop_start()
        try:
            self.wait(lambda: self._subscribed, seconds, "the observer's SUBACK")
        except TimeoutError:
            self.stop()
            raise

    def stop(self) -> None:
        """Disconnect; afterwards `messages` does not change."""
        self._client.disconnect()
        self._client.loop_stop()

    def publish(
        self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False
    ) -> None:
        """Publish and return once the broker has it."""
        self.publish_soon(topic, payload, qos=qos, retain=retain).wait_for_publish(WAIT_TIMEOUT)

    def publish_soon(
        self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False
    ) -> mqtt.MQTTMessageInfo:
        """Publish and return at once; the result can be waited for."""
        return self._client.publish(topic, payload, qos, retain)

    def wait(
        self, condition: Callable[[], object], seconds: float = WAIT_TIMEOUT, what: str = ""
    ) -> None:
        """Wait until `condition()`, looked at whenever something arrives. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(condition, seconds):
                msg = f"not within {seconds:g} s: {what or 'the message'}; got {self.messages}"
                raise TimeoutError(msg)

    def wait_for(
        self, topic: str, payload: bytes, seconds: float = WAIT_TIMEOUT, after: float = 0.0
    ) -> Received:
        """Wait for a message, counted from the time `after`, and return the first that fits."""

        def found() -> Received | None:
            return next((m for m in self.of(topic) if m.payload == payload and m.at >= after), None)

        self.wait(found, seconds, f"{payload!r} on {topic}")
        message = found()
        assert message is not None
        return message

    def of(self, topic: str) -> list[Received]:
        """Return the messages of one topic, oldest first."""
        return [message for message in list(self.messages) if message.topic == topic]

    def latest(self) -> dict[str, bytes]:
        """Return the newest payload of every topic."""
        return {message.topic: message.payload for message in list(self.messages)}

    def wait_for_latest(self, wanted: dict[str, bytes], seconds: float = WAIT_TIMEOUT) -> None:
        """Wait until the newest payload of each topic in `wanted` is the wanted one."""

        def settled() -> bool:
            return wanted.items() <= self.latest().items()

        self.wait(settled, seconds, f"{len(wanted)} topics as wanted")

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe([(name, 2) for name in self._filters])

    def _on_subscribe(self, *_: Any) -> None:
        with self._changed:
            self._subscribed = True
            self._changed.notify_all()

    def _on_message(self, _client: Any, _userdata: Any, message: mqtt.MQTTMessage) -> None:
        received = Received(
            message.topic, bytes(message.payload), message.qos, message.retain, time.monotonic()
        )
        with self._changed:
            self.messages.append(received)
            self._changed.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        with self._changed:
            self.lost_at.append(time.monotonic())
            self._changed.notify_all()


def retained(
    port: int, filters: tuple[str, ...] = ("#",), wanted: int = 1, seconds: float = WAIT_TIMEOUT
) -> dict[str, bytes]:
    """Return the retained messages below `filters` once there are `wanted` of them."""
    with Observer(port, filters) as observer:
        observer.wait(lambda: len(observer.latest()) >= wanted, seconds, "retained messages")
        return observer.latest()
