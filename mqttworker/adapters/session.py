"""One session: from DNS to SUBACK under one deadline, then its life, then its end."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from mqttworker.adapters.dial import dial
from mqttworker.adapters.failures import (
    Phase,
    data_cause,
    error_cause,
    lost_cause,
    timeout_cause,
    undone_cause,
)
from mqttworker.adapters.gmqtt_client import BrokerClient, PacketReader
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.outbox import NotSentError
from mqttworker.adapters.port_check import PortCheck
from mqttworker.adapters.tls import ContextCache, UnusableTLSError, is_given_up, peer_certificate
from mqttworker.adapters.turns import Turns
from mqttworker.core import answers, packets
from mqttworker.core.cause import Cause, cause
from mqttworker.core.events import Closed, Failed, Greeted, Lost, Opened
from mqttworker.core.spec import ConnectionSpec, SubscriptionSpec
from mqttworker.ports.transport import (
    Acknowledged,
    InboundMessage,
    OutboundMessage,
    Progress,
    Receive,
    Report,
    Terms,
    ignore,
    status_message,
)

#: Topic Filters in one SUBSCRIBE; some brokers take no more.
FILTERS_PER_SUBSCRIBE = 8
#: SUBACK codes from here on refuse (5, section 3.9.3).
SUBACK_FAILURE = 0x80


class SessionEndedError(Exception):
    """The try is over; `why` says what ended it."""

    def __init__(self, why: Cause) -> None:
        super().__init__(why.code)
        self.why = why


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all sessions of a worker share."""

    hub_loop: HubLoop
    turns: Turns
    contexts: ContextCache
    #: Longest packet that is accepted, bytes.
    max_packet_bytes: int
    ports: PortCheck = field(default_factory=PortCheck)


class BrokerSession:
    """One try and the session that may follow; see `ports.transport.Session`."""

    def __init__(
        self,
        around: Surroundings,
        spec: ConnectionSpec,
        protocol: str,
        report: Report,
        receive: Receive,
        watch: tuple[str, ...] = (),
        progress: Progress = ignore,
    ) -> None:
        self._around = around
        self._spec = spec
        self._protocol = protocol
        self._report = report
        self._receive = receive
        #: Own topics to subscribe to once the session is up.
        self._watch = watch
        self._progress = progress
        self._phase = Phase.DNS
        self._terms = Terms()
        self._client: BrokerClient | None = None
        self._task: asyncio.Task[None] | None = None
        #: Resolves with the answer that the present phase waits for, or why there is none.
        self._answer: asyncio.Future[Any] | None = None
        #: Why the try or the farewell cannot go on, found out while nobody waited.
        self._ended: Cause | None = None
        #: Topic Filters of each SUBSCRIBE that waits for its SUBACK, by Packet Identifier.
        self._unanswered: dict[int, tuple[SubscriptionSpec, ...]] = {}
        #: Packet Identifier of the SUBSCRIBE to our own topics.
        self._watch_mid: int | None = None
        #: SUBACK codes of the Topic Filters that the broker refused.
        self._refused: dict[str, int] = {}

    # --- called by the service, on any greenlet

    @property
    def is_open(self) -> bool:
        """Whether the session is up and its socket stands."""
        return self._phase is Phase.UP and self._client is not None and self._client.is_open

    @property
    def terms(self) -> Terms:
        """What was agreed on with the broker."""
        return self._terms

    def publish(self, message: OutboundMessage, done: Acknowledged) -> None:
        """Send `message`, and tell `done` what became of it; see the port."""
        self._around.hub_loop.call(self._publish, message, done)

    def close(self, grace: float) -> None:
        """Publish `offline`, wait for its PUBACK, DISCONNECT; see the port."""
        self._around.hub_loop.call(self._begin_close, grace)

    def abort(self) -> None:
        """Drop the socket at once and report nothing more."""
        self._phase = Phase.OVER
        self._around.hub_loop.call(self._drop)

    # --- the try

    def begin(self) -> None:
        """Start the try; runs in the loop."""
        if self._phase is not Phase.OVER:
            self._progress(self._phase.value)
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        self._around.turns.try_began()
        try:
            opened = await self._try()
        finally:
            self._task = None
            self._around.turns.try_ended()
        if opened is not None:
            self._up(opened)

    async def _try(self) -> Opened | None:
        """Return what was agreed on, None once it is reported why nothing was."""
        started_at, deadline = time.monotonic(), self._spec.connect_timeout_s
        try:
            async with asyncio.timeout(deadline):
                await self._connect()
                return await self._subscribe()
        except SessionEndedError as ended:
            left = deadline - (time.monotonic() - started_at)
            self._fail(await self._around.ports.explain(ended.why, self._spec, left))
        except TimeoutError:
            self._fail(timeout_cause(self._phase, deadline))
        except UnusableTLSError as error:
            self._fail(cause("config_error", field=error.field, problem=error.problem))
        except Exception as error:  # noqa: BLE001 - a try that ends without a report is stuck
            self._fail(error_cause(error, self._phase))
        return None

    async def _connect(self) -> None:
        tls = self._spec.tls
        context = await self._around.contexts.get(tls) if tls else None
        client = BrokerClient(
            self._spec,
            self._protocol,
            max_packet_bytes=self._around.max_packet_bytes,
            on_message=self._on_message,
            on_subscribe=self._on_subscribe,
        )
        self._client = client

        def make_reader() -> PacketReader:
            reader = PacketReader(
                client,
                self._around.max_packet_bytes,
                self._on_data_error,
                self._on_packet,
                self._on_closed,
            )
            readers.append(reader)
            return reader

        # One for each address that was tried; a socket that closed has forgotten its own.
        readers: list[PacketReader] = []
        transport = await dial(self._spec, context, make_reader, self._enter)
        had_failed = is_given_up(transport)
        await client.start(transport, readers[-1], self._end)
        if tls and is_given_up(transport) and not had_failed:
            raise SessionEndedError(undone_cause())
        certificate = peer_certificate(transport) if tls else None
        await self._wait()
        self._terms = Terms(client.keepalive, certificate)

    async def _subscribe(self) -> Opened:
        """Subscribe to everything and check what was granted."""
        subscriptions = self._spec.subscriptions
        if not subscriptions:
            return Opened(self._protocol)
        assert self._client is not None
        for start in range(0, len(subscriptions), FILTERS_PER_SUBSCRIBE):
            batch = subscriptions[start : start + FILTERS_PER_SUBSCRIBE]
            self._unanswered[self._client.subscribe_to(batch)] = batch
        while self._unanswered:
            await self._wait()
        refused = self._refused
        return Opened(self._protocol, tuple(refused), min(refused.values(), default=None))

    async def _wait(self) -> None:
        """Sleep until `_wake`. Raises SessionEndedError as soon as `_end` was called."""
        if self._ended is not None:
            raise SessionEndedError(self._ended)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            await self._answer
        finally:
            self._answer = None

    def _wake(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(None)

    def _enter(self, phase: Phase) -> None:
        if phase is not self._phase and self._phase is not Phase.OVER:
            self._phase = phase
            self._progress(phase.value)

    def _up(self, opened: Opened) -> None:
        if self._phase is Phase.OVER or self._client is None:
            return
        self._phase = Phase.UP
        self._around.turns.patiently(self._greet)
        self._report(opened)
        if self._ended is not None:
            # The broker hung up together with its last answer.
            self._end(self._ended)

    def _greet(self) -> None:
        """Watch our own topics and publish `online`, unless the session has ended meanwhile."""
        if self._phase is not Phase.UP or self._client is None:
            return
        if self._watch:
            # Before `online`: whatever is retained there was left by others.
            wanted = [SubscriptionSpec(topic, qos=0) for topic in self._watch]
            self._watch_mid = self._client.subscribe_to(wanted)
        if self._spec.status_topic:
            self._publish(status_message(self._spec, self._spec.online_payload), self._greeted)

    def _greeted(self, refused: Cause | None) -> None:
        if refused is None and self._phase is Phase.UP:
            self._report(Greeted())

    def _publish(self, message: OutboundMessage, done: Acknowledged) -> None:
        if not self.is_open or self._client is None:
            done(cause("not_connected"))
            return
        try:
            ack = self._client.send(message)
        except NotSentError as refused:
            done(refused.why)
            return
        if ack is None:
            done(None)
        else:
            ack.add_done_callback(lambda ack: done(_refusal(ack)))

    def _fail(self, why: Cause) -> None:
        if self._phase is not Phase.OVER:
            self._phase = Phase.OVER
            self._drop()
            self._report(Failed(why))

    # --- called by the reader and by gmqtt, in the loop

    def _on_packet(self, first: int, body: bytes) -> None:
        kind = first & 0xF0
        if kind == packets.CONNACK:
            self._on_connack(first, body)
        elif kind == packets.DISCONNECT:
            self._end(answers.disconnect_cause(body))
        elif self._client is not None:
            self._client.take(first, body)

    def _on_connack(self, first: int, body: bytes) -> None:
        if (why := answers.connack_cause(body, self._protocol)) is not None:
            self._end(why)
        elif self._client is not None:
            self._client.accept(first, body)
            # At once: more packets may follow in the same bytes.
            self._enter(Phase.SUBACK)
            self._wake()

    def _on_data_error(self, error: Exception) -> None:
        self._end(data_cause(error, limit=self._around.max_packet_bytes))

    def _on_subscribe(
        self, _client: object, mid: int, granted: tuple[int, ...], _properties: object
    ) -> None:
        if mid == self._watch_mid:
            return  # what is refused there is missed by nobody
        batch = self._unanswered.pop(mid, ())
        if len(batch) != len(granted) or not batch:
            msg = f"a SUBACK for {len(granted)} Topic Filters that does not fit its SUBSCRIBE"
            raise packets.MalformedPacketError(msg)
        for subscription, code in zip(batch, granted, strict=True):
            if code >= SUBACK_FAILURE:
                self._refused[subscription.topic_filter] = code
        self._wake()

    async def _on_message(
        self, _client: object, topic: str | bytes, payload: bytes, qos: int, properties: Any
    ) -> int:
        """Take a PUBLISH; gmqtt acknowledges it with the code returned, success."""
        text = topic if isinstance(topic, str) else None
        message = InboundMessage(
            text, payload, qos, bool(properties["retain"]), bool(properties["dup"])
        )
        try:
            self._receive(message)
        except BaseException as error:
            # GreenletExit and gevent.Timeout are no Exceptions; either would end the
            # reading of this socket without a sign.
            self._end(cause("internal_error", error=type(error).__name__))
            raise
        return 0

    def _on_closed(self, error: Exception | None) -> None:
        self._end(lost_cause(error, self._phase))

    def _end(self, why: Cause) -> None:
        """Take note that the session cannot go on, whoever found out first."""
        if self._phase is Phase.UP:
            self._phase = Phase.OVER
            self._drop()
            self._report(Lost(why))
            return
        self._ended = self._ended or why
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(SessionEndedError(self._ended))

    # --- the end

    def _begin_close(self, grace: float) -> None:
        if self._phase is Phase.UP:
            self._phase = Phase.CLOSING
            self._task = asyncio.get_running_loop().create_task(self._close(grace))
        elif self._phase is not Phase.CLOSING:
            self._phase = Phase.OVER
            self._drop()
            self._report(Closed())

    async def _close(self, grace: float) -> None:
        assert self._client is not None
        try:
            async with asyncio.timeout(grace):
                await self._say_goodbye(self._client)
        except (TimeoutError, SessionEndedError, OSError):
            # Without our DISCONNECT the broker publishes the will, which says the same.
            pass
        finally:
            if self._phase is not Phase.OVER:
                self._phase = Phase.OVER
                self._drop()
                self._report(Closed())

    async def _say_goodbye(self, client: BrokerClient) -> None:
        """Publish `offline`, wait for its PUBACK, DISCONNECT, wait for the socket."""
        if self._spec.status_topic:
            ack = client.send(status_message(self._spec, self._spec.offline_payload))
            if ack is not None:
                ack.add_done_callback(lambda _ack: self._wake())
                await self._wait()
        client.say_goodbye()
        await client.closed()

    def _drop(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        client, self._client = self._client, None
        if client is not None:
            client.end()


def _refusal(ack: asyncio.Future[int]) -> Cause | None:
    """Return why a PUBLISH was not taken, None if it was."""
    if ack.cancelled():
        return cause("not_connected")
    code = ack.result()
    return answers.publish_cause(code) if code else None
