"""One session: from DNS to SUBACK under one deadline, then its life, then its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

from database.words import Protocol
from mqttworker.adapters import farewell
from mqttworker.adapters.awaited import Awaited, SessionEndedError
from mqttworker.adapters.failures import (
    Phase,
    data_cause,
    error_cause,
    lost_cause,
    timeout_cause,
    unexpected_cause,
)
from mqttworker.adapters.gmqtt_client import BrokerClient, PacketReader
from mqttworker.adapters.opening import open_socket
from mqttworker.adapters.outbox import NotSentError, tell
from mqttworker.adapters.receiving import Receiving
from mqttworker.adapters.subscribing import Subscribing
from mqttworker.adapters.surroundings import Surroundings
from mqttworker.adapters.tls import UnusableTLSError
from mqttworker.core import answers, packets
from mqttworker.core.cause import Cause, cause
from mqttworker.core.events import Closed, Failed, Greeted, Lost, Opened, OwnTopicsRefused
from mqttworker.core.messages import InboundMessage
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import (
    Acknowledged,
    Heard,
    OutboundMessage,
    Progress,
    Receive,
    Report,
    Terms,
    ignore,
    status_message,
)


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
        receipts: Receipts | None = None,
        progress: Progress = ignore,
    ) -> None:
        self._around = around
        self._spec = spec
        self._protocol = protocol
        self._report = report
        #: Own topics to subscribe to once the session is up.
        self._watch = watch
        self._progress = progress
        self._receiving = Receiving(receipts or Receipts(), receive)
        self._phase = Phase.DNS
        self._terms = Terms()
        self._is_held_back = False
        self._client: BrokerClient | None = None
        self._task: asyncio.Task[None] | None = None
        self._awaited = Awaited()
        self._greeted_at: float | None = None
        self._subscribing = Subscribing()

    # --- called by the service, on any greenlet

    @property
    def is_open(self) -> bool:
        """Whether the session is up and its socket stands."""
        return self._phase is Phase.UP and self._client is not None and self._client.is_open

    @property
    def terms(self) -> Terms:
        """What was agreed on with the broker."""
        return self._terms

    @property
    def greeted_at(self) -> float | None:
        """When `online` was published; see the port."""
        return self._greeted_at

    def publish(self, message: OutboundMessage, done: Acknowledged, heard: Heard = ignore) -> None:
        """Send `message`, and tell `done` what became of it; see the port."""
        self._around.hub_loop.call(self._publish, message, done, heard)

    def acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        """Tell the broker that `messages` are safe; see the port."""
        self._around.hub_loop.call(self._acknowledge, messages)

    def complete(self, identifiers: Sequence[int]) -> None:
        """Tell the broker that it may forget messages that it released; see the port."""
        self._around.hub_loop.call(self._complete, identifiers)

    def pause_reading(self) -> None:
        """Take nothing more from the broker; see the port."""
        self._is_held_back = True
        self._hold_back()

    def resume_reading(self) -> None:
        """Take messages again; see the port."""
        # In the loop: what TLS has decrypted already is handed on there, and nothing else wakes it.
        self._around.hub_loop.call(self._resume_reading)

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
        """Come as far as CONNACK."""
        tls = self._spec.tls
        context = await self._around.contexts.get(tls) if tls else None
        self._client = client = BrokerClient(
            self._spec,
            self._protocol,
            max_packet_bytes=self._around.max_packet_bytes,
            receipts=self._receiving.receipts,
            on_subscribe=self._on_subscribe,
        )
        certificate = await open_socket(
            self._spec, context, client, self._reader_for, self._enter, self._end
        )
        await self._awaited.wait()
        present = client.conversation.session_present
        self._terms = Terms(client.keepalive, certificate, present, client.maximum_qos)

    def _reader_for(self, client: BrokerClient) -> PacketReader:
        limit = self._around.max_packet_bytes
        return PacketReader(
            client,
            limit,
            self._on_data_error,
            self._on_packet,
            self._on_messages,
            self._on_closed,
        )

    async def _subscribe(self) -> Opened:
        """Subscribe to everything and check what was granted."""
        assert self._client is not None
        wanted = {*self._watch, *(item.topic_filter for item in self._spec.subscriptions)}
        self._receiving.unsubscribe_others(self._client, wanted)
        self._subscribing.ask(self._client, self._spec.subscriptions)
        while self._subscribing.is_unanswered:
            await self._awaited.wait()
        # The broker takes packets in order: with our SUBSCRIBE it has our UNSUBSCRIBE too.
        self._receiving.receipts.topic_filters = frozenset(wanted)
        refused = self._subscribing.refused
        return Opened(self._protocol, tuple(refused), min(refused.values(), default=None))

    def _enter(self, phase: Phase) -> None:
        if phase is not self._phase and self._phase is not Phase.OVER:
            self._phase = phase
            self._progress(phase.value)

    def _up(self, opened: Opened) -> None:
        if self._phase is Phase.OVER or self._client is None:
            return
        self._phase = Phase.UP
        self._hold_back()
        self._around.turns.patiently(self._greet)
        self._report(opened)
        if self._awaited.ended is not None:
            # The broker hung up together with its last answer.
            self._end(self._awaited.ended)

    def _greet(self) -> None:
        """Watch our own topics and publish `online`, unless the session has ended meanwhile."""
        if self._phase is not Phase.UP or self._client is None:
            return
        if self._watch:
            # Before `online`: whatever is retained there was left by others.
            self._subscribing.watch(self._client, self._watch)
        if self._spec.status_topic:
            self._greeted_at = time.monotonic()
            online = self._spec.online_payload
            message = status_message(self._spec, online, self._terms.maximum_qos)
            self._publish(message, partial(self._greeted, message.qos))

    def _greeted(self, qos: int, refused: Cause | None) -> None:
        if self._phase is not Phase.UP or (refused and refused.code == "not_connected"):
            return
        self._report(Greeted(refused, is_certain=qos > 0 and self._protocol == Protocol.V5))

    def _publish(self, message: OutboundMessage, done: Acknowledged, heard: Heard = ignore) -> None:
        if not self.is_open or self._client is None:
            done(cause("not_connected"))
            return
        try:
            ack = self._client.send(message)
        except NotSentError as refused:
            done(refused.why)
        else:
            tell(ack, done, heard)

    def _fail(self, why: Cause) -> None:
        if self._phase is not Phase.OVER:
            self._finish(Failed(why))

    # --- called by the reader and by gmqtt, in the loop

    def _on_packet(self, first: int, body: bytes) -> None:
        kind = first & 0xF0
        if kind == packets.CONNACK:
            self._on_connack(first, body)
        elif kind == packets.DISCONNECT:
            self._end(answers.disconnect_cause(body, self._spec.password))
        elif self._client is not None:
            self._client.take(first, body)

    def _on_connack(self, first: int, body: bytes) -> None:
        why = answers.connack_cause(body, self._protocol, self._spec.password)
        if why is not None:
            self._end(why)
        elif self._client is not None:
            self._client.accept(first, body)
            # At once: more packets may follow in the same bytes.
            self._enter(Phase.SUBACK)
            self._awaited.came()

    def _on_data_error(self, error: Exception) -> None:
        self._end(data_cause(error, limit=self._around.max_packet_bytes))

    def _on_subscribe(
        self, _client: object, mid: int, granted: tuple[int, ...], _properties: object
    ) -> None:
        if self._subscribing.take(mid, granted):
            self._awaited.came()
        elif self._phase is Phase.UP and self._subscribing.refused_own:
            self._report(OwnTopicsRefused(tuple(self._subscribing.refused_own.items())))

    def _on_messages(self, messages: list[InboundMessage]) -> None:
        if self._client is None or self._phase is Phase.CLOSING:
            # What is not acknowledged comes again, or is lost with the session as agreed.
            return
        try:
            self._receiving.take(self._client, messages)
        except BaseException as error:  # noqa: BLE001 - GreenletExit and gevent.Timeout, too
            # Whatever it is, it must not leave a session behind that reads nothing.
            self._end(unexpected_cause(error))

    def _on_closed(self, error: Exception | None) -> None:
        self._end(lost_cause(error, self._phase))

    def _end(self, why: Cause) -> None:
        """Take note that the session cannot go on, whoever found out first."""
        if self._phase is Phase.UP and self._client is not None:
            self._finish(Lost(why, unanswered=self._client.conversation.is_unanswered))
        else:
            self._awaited.end(why)

    def _hold_back(self) -> None:
        # Not before the SUBACK has come: it would be left unread behind what came with it.
        if self._is_held_back and self._phase is Phase.UP and self._client is not None:
            self._client.pause_reading()

    def _resume_reading(self) -> None:
        self._is_held_back = False
        if self._client is not None:
            self._client.resume_reading()

    def _acknowledge(self, messages: Sequence[InboundMessage]) -> None:
        self._receiving.acknowledge(self._client, messages)
        if self._phase is Phase.CLOSING:
            self._awaited.came()

    def _complete(self, identifiers: Sequence[int]) -> None:
        self._receiving.complete(self._client, identifiers)

    # --- the end

    def _begin_close(self, grace: float) -> None:
        if self._phase is Phase.UP:
            self._phase = Phase.CLOSING
            self._task = asyncio.get_running_loop().create_task(self._close(grace))
        elif self._phase is not Phase.CLOSING:
            self._finish(Closed())

    async def _close(self, grace: float) -> None:
        assert self._client is not None
        # A socket that is not read has no PUBACK for us either.
        self._client.resume_reading()
        try:
            await farewell.settle(self._receiving.receipts, self._awaited)
            await farewell.say_goodbye(self._client, self._spec, self._awaited, grace)
        finally:
            if self._phase is not Phase.OVER:
                self._finish(Closed())

    def _finish(self, event: Closed | Failed | Lost) -> None:
        """Drop the socket and report `event`, the last one."""
        self._phase = Phase.OVER
        self._drop()
        self._report(event)

    def _drop(self) -> None:
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        client, self._client = self._client, None
        if client is not None:
            client.end()
