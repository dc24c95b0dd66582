"""Sessions under test: opened through a transport, with all that they report remembered."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import gevent
from gevent.event import Event as Signal

from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.core.cause import Cause
from mqttworker.core.events import Closed, Event, Failed, Greeted, Lost, Opened
from mqttworker.core.messages import InboundMessage
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import Session, Transport
from tests.support.scripted_broker import ScriptedBroker

#: Longest wait for something that must happen, seconds.
PATIENCE = 10.0

_numbers = itertools.count(1)

E = TypeVar("E", bound=Event)
P = ParamSpec("P")
T = TypeVar("T")


def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Return `function(...)`, for what would block the hub: brokers and observers of the tests."""
    result: T = gevent.get_hub().threadpool.apply(function, args, kwargs)
    return result


def spec_for(port: int, **changes: Any) -> ConnectionSpec:
    """Return a usable spec for a broker on loopback, with a site of its own."""
    site = f"site_{next(_numbers)}"
    values: dict[str, Any] = {
        "connection_id": 1,
        "host": "127.0.0.1",
        "port": port,
        "client_id": f"{site}_bfg_back",
        "connect_timeout_s": 5.0,
        "status_topic": f"{site}/backend/status",
    }
    return ConnectionSpec(**{**values, **changes})


class Try:
    """One session and what it reported."""

    def __init__(
        self,
        transport: Transport,
        spec: ConnectionSpec,
        protocol: str,
        watch: tuple[str, ...] = (),
        receipts: Receipts | None = None,
    ) -> None:
        self.spec = spec
        #: All but Greeted, which only says that what followed Opened has arrived.
        self.events: list[Event] = []
        self.greetings = 0
        self.messages: list[InboundMessage] = []
        #: Called with each message, before it is remembered; may raise.
        self.on_message: Callable[[InboundMessage], object] = lambda _message: None
        #: Whether messages are safe as soon as they are here.
        self.takes_at_once = True
        self._arrived = Signal()
        self.started_at = time.monotonic()
        self.phases: list[str] = []
        self.session: Session = transport.open(
            spec,
            protocol,
            self._report,
            self._receive,
            watch=watch,
            receipts=receipts,
            progress=self.phases.append,
        )

    def _report(self, event: Event) -> None:
        if isinstance(event, Greeted):
            self.greetings += 1
        else:
            self.events.append(event)
        self._arrived.set()

    def _receive(self, messages: Sequence[InboundMessage]) -> Sequence[InboundMessage]:
        for message in messages:
            self.on_message(message)
            self.messages.append(message)
        self._arrived.set()
        return messages if self.takes_at_once else ()

    def wait(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        """Wait until `condition()`, looked at whenever something is reported."""
        deadline = time.monotonic() + seconds
        while not condition():
            self._arrived.clear()
            if not self._arrived.wait(max(0.0, deadline - time.monotonic())):
                msg = f"not within {seconds:g} s; reported: {self.events}"
                raise TimeoutError(msg)

    def first(self, kind: type[E], seconds: float = PATIENCE) -> E:
        """Wait for an event of this kind and return it."""
        self.wait(lambda: any(isinstance(event, kind) for event in self.events), seconds)
        return next(event for event in self.events if isinstance(event, kind))

    def opened(self, seconds: float = PATIENCE) -> Opened:
        """Wait until the session is up; nothing else may come first."""
        self.wait(lambda: self.events, seconds)
        event = self.events[0]
        assert isinstance(event, Opened), event
        return event

    def failure(self, seconds: float = PATIENCE) -> Cause:
        """Wait until the try has failed and return why; nothing else may come first."""
        self.wait(lambda: self.events, seconds)
        event = self.events[0]
        assert isinstance(event, Failed), event
        return event.why

    def loss(self, seconds: float = PATIENCE) -> Cause:
        """Wait until the session is lost and return why."""
        return self.first(Lost, seconds).why

    def close(self, grace: float = 2.0) -> float:
        """Close the session, wait for its end and return how long it took."""
        started = time.monotonic()
        self.session.close(grace)
        self.first(Closed)
        return time.monotonic() - started


def settle(hub_loop: HubLoop) -> None:
    """Return when the loop has done what was ready, and what that made ready."""
    for _ in range(4):
        done = Signal()
        hub_loop.call(hub_loop.loop.call_soon, done.set)
        assert done.wait(PATIENCE)


def tasks_left(hub_loop: HubLoop) -> set[asyncio.Task[Any]]:
    """Return the tasks that the loop still has."""
    settle(hub_loop)
    return asyncio.all_tasks(hub_loop.loop)


def no_socket_left(broker: ScriptedBroker) -> None:
    """Check that one socket was opened and that it is closed, or will be in a moment."""
    in_thread(broker.wait, lambda: broker.sessions and not broker.open_now)
    assert broker.most_open == 1
    assert len(broker.sessions) == 1
