"""A broker in memory and the transport to it: tests of the service need no socket.

It keeps the promises of `ports.transport` (tests/worker/contract holds it to the same
tests as the real one) and, like it, reports from the hub, later, never inside a call.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import gevent

from database.words import Protocol
from mqttworker.adapters.failures import Phase
from mqttworker.adapters.fake_broker import FakeBroker
from mqttworker.adapters.gmqtt_client import DEAD_AFTER, DEAD_SLACK
from mqttworker.core.cause import Cause, cause
from mqttworker.core.events import Closed, Failed, Greeted, Lost, Opened
from mqttworker.core.messages import InboundMessage
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec
from mqttworker.core.topics import matches
from mqttworker.ports.transport import (
    Acknowledged,
    Acknowledgement,
    Heard,
    OutboundMessage,
    Progress,
    Receive,
    Report,
    Terms,
    ignore,
)

#: What a broker answers to a Topic Filter that this login may not read.
NOT_AUTHORIZED = 0x87


class FakeTransport:
    """Makes sessions with the given brokers; every other address refuses."""

    def __init__(self, *brokers: FakeBroker) -> None:
        self._brokers = {broker.address: broker for broker in brokers}

    def open(
        self,
        spec: ConnectionSpec,
        protocol: str,
        report: Report,
        receive: Receive,
        *,
        watch: tuple[str, ...] = (),
        receipts: Receipts | None = None,
        progress: Progress = ignore,
    ) -> FakeSession:
        """Begin to connect; see `ports.transport.Transport`."""
        broker = self._brokers.get(spec.broker)
        session = FakeSession(broker, spec, protocol, report, receive, watch)
        if receipts is not None:
            # A broker in memory keeps no session.
            receipts.connected(session_present=False)
        progress(Phase.CONNACK.value)
        _later(session.arrive)
        return session

    def knock(self, spec: ConnectionSpec, answer: Callable[[bool], object]) -> None:
        """Call `answer` with whether the broker's port takes TCP connections now."""
        broker = self._brokers.get(spec.broker)
        _later(lambda: answer(broker is not None and broker.is_listening))


class FakeSession:
    """One try and the session that may follow; see `ports.transport.Session`."""

    def __init__(
        self,
        broker: FakeBroker | None,
        spec: ConnectionSpec,
        protocol: str,
        report: Report,
        receive: Receive,
        watch: tuple[str, ...] = (),
    ) -> None:
        self._broker = broker
        self._watch = watch
        self._spec = spec
        self.protocol = protocol
        self._report = report
        self._receive = receive
        self._phase = Phase.CONNACK
        self.greeted_at: float | None = None
        self._timer: gevent.Greenlet[..., None] | None = None

    # --- called by the service

    @property
    def is_open(self) -> bool:
        """Whether the session is up."""
        return self._phase is Phase.UP

    @property
    def terms(self) -> Terms:
        """What was agreed on: what was asked for."""
        return Terms(self._spec.keepalive_s)

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Do nothing: the broker in memory sends nothing twice."""

    def complete(self, identifiers: Sequence[int]) -> None:
        """Do nothing: the broker in memory releases nothing."""

    def pause_reading(self) -> None:
        """Do nothing: there is no socket."""

    def resume_reading(self) -> None:
        """Do nothing: there is no socket."""

    def publish(self, message: OutboundMessage, done: Acknowledged, heard: Heard = ignore) -> None:
        """Hand `message` to the broker; a frozen one never answers."""
        broker = self._broker
        if self._phase is not Phase.UP or broker is None:
            _later(done, cause("not_connected"))
        elif not broker.is_frozen:
            broker.publish(message.topic, message.payload, message.qos, message.retain)
            if message.qos:
                code = 0 if self.protocol == Protocol.V5 else None
                _later(heard, Acknowledgement(code, "", 0.0))
            _later(done, None)

    def close(self, grace: float) -> None:
        """Publish `offline` and go; see the port."""
        if self._phase is Phase.UP:
            self._phase = Phase.CLOSING
            if self._broker is not None and self._broker.is_frozen:
                self._after(grace, self._drop_with_will)
            else:
                _later(self._say_goodbye)
        elif self._phase is not Phase.CLOSING:
            self._end()
            _later(self._report, Closed())

    def abort(self) -> None:
        """Drop the connection at once and report nothing more."""
        had_session = self._phase in {Phase.UP, Phase.CLOSING}
        self._end()
        if had_session:
            self._publish_status(self._spec.offline_payload)

    # --- the try

    def arrive(self) -> None:
        """Reach the broker and hear what it says."""
        broker = self._broker
        if self._phase is not Phase.CONNACK:
            return
        if broker is None or not broker.is_listening:
            self._fail(cause("tcp_refused"))
        elif broker.is_frozen:
            broker.tries.append((self._spec, self.protocol))
            seconds = self._spec.connect_timeout_s
            self._after(seconds, lambda: self._fail(cause("connack_timeout", seconds=seconds)))
        elif (why := broker.judge(self._spec, self.protocol)) is not None:
            self._fail(why)
        else:
            self._join(broker)

    def _join(self, broker: FakeBroker) -> None:
        earlier = broker.clients.pop(self._spec.client_id, None)
        if earlier is not None:
            named = broker.names_rivals and earlier.protocol == Protocol.V5
            earlier.lose(cause("session_taken_over" if named else "peer_closed"))
        self._phase = Phase.UP
        broker.clients[self._spec.client_id] = self
        wanted = [item.topic_filter for item in self._spec.subscriptions]
        refused = tuple(name for name in wanted if name in broker.refused_filters)
        self._report(Opened(self.protocol, refused, NOT_AUTHORIZED if refused else None))
        for topic, kept in list(broker.retained.items()):
            self.deliver(topic, kept.payload, kept.qos, retain=True)
        self.greeted_at = time.monotonic()
        self._publish_status(self._spec.online_payload)
        _later(self._report, Greeted())

    # --- called by the broker

    def deliver(self, topic: str, payload: bytes, qos: int, *, retain: bool) -> None:
        """Hand a message on if this client subscribed to its topic."""
        broker = self._broker
        granted = [
            item.qos
            for item in self._spec.subscriptions
            if matches(item.topic_filter, topic)
            and (broker is None or item.topic_filter not in broker.refused_filters)
        ] + [0 for watched in self._watch if watched == topic]
        if granted:
            message = InboundMessage(topic, payload, min(qos, *granted, 2), retain, dup=False)
            _later(self._take, message)

    def _take(self, message: InboundMessage) -> None:
        if self._phase is not Phase.UP:
            return
        try:
            self._receive([message])
        except BaseException as error:  # noqa: BLE001 - as the real one: it ends the session
            self.lose(cause("internal_error", error=type(error).__name__))

    def lose(self, why: Cause) -> None:
        """End the session without its doing; the broker publishes the will."""
        if self._phase is Phase.CLOSING:
            self._drop_with_will()
        elif self._phase is Phase.UP:
            self._end()
            self._publish_status(self._spec.offline_payload)
            _later(self._report, Lost(why))

    def hear_nothing(self) -> None:
        """Notice a broker that went silent as late as a real session would."""
        seconds = DEAD_AFTER * self._spec.keepalive_s + DEAD_SLACK
        self._after(seconds, self._give_up, seconds)

    def _give_up(self, seconds: float) -> None:
        if self._broker is not None and self._broker.is_frozen:
            self.lose(cause("keepalive_timeout", seconds=seconds))

    # --- the end

    def _say_goodbye(self) -> None:
        if self._phase is Phase.CLOSING:
            self._drop_with_will()

    def _drop_with_will(self) -> None:
        # `offline` from us and `offline` as the will are one and the same to everybody.
        self._end()
        self._publish_status(self._spec.offline_payload)
        _later(self._report, Closed())

    def _fail(self, why: Cause) -> None:
        if self._phase is not Phase.OVER:
            self._end()
            self._report(Failed(why))

    def _end(self) -> None:
        self._phase = Phase.OVER
        if self._timer is not None and self._timer is not gevent.getcurrent():
            self._timer.kill(block=False)
        if self._broker is not None and self._broker.clients.get(self._spec.client_id) is self:
            del self._broker.clients[self._spec.client_id]

    def _publish_status(self, payload: str) -> None:
        spec = self._spec
        if self._broker is not None and spec.status_topic:
            self._broker.publish(
                spec.status_topic, payload.encode(), spec.status_qos, spec.status_retain
            )

    def _after(self, seconds: float, function: Callable[..., None], *args: Any) -> None:
        self._timer = gevent.spawn_later(seconds, function, *args)


def _later(function: Callable[..., object], *args: Any) -> None:
    gevent.get_hub().loop.run_callback(function, *args)
