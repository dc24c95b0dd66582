"""The transport: sessions with real brokers, on the asyncio loop of the hub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mqttworker.adapters.dial import dial
from mqttworker.adapters.hub_loop import HubLoop
from mqttworker.adapters.session import BrokerSession
from mqttworker.adapters.surroundings import Surroundings
from mqttworker.adapters.tls import ContextCache
from mqttworker.adapters.turns import Turns
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec, TLSSettings
from mqttworker.ports.transport import Progress, Receive, Report, ignore

#: How long a broker may take to open its door to a knock, seconds.
KNOCK_TIMEOUT = 0.5


class BrokerTransport:
    """Makes sessions with real brokers, on the asyncio loop of the hub."""

    def __init__(self, hub_loop: HubLoop, *, max_packet_bytes: int) -> None:
        self._around = Surroundings(hub_loop, Turns(hub_loop), ContextCache(), max_packet_bytes)
        self._knocks: set[asyncio.Task[None]] = set()

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
    ) -> BrokerSession:
        """Begin to connect; see `ports.transport.Transport`."""
        session = BrokerSession(
            self._around, spec, protocol, report, receive, watch, receipts, progress
        )
        self._around.turns.urgently(session.begin)
        return session

    def knock(self, spec: ConnectionSpec, answer: Callable[[bool], object]) -> None:
        """Call `answer` with whether the broker's port takes TCP connections now."""
        self._around.hub_loop.call(self._begin_to_knock, spec, answer)

    def _begin_to_knock(self, spec: ConnectionSpec, answer: Callable[[bool], object]) -> None:
        task = asyncio.ensure_future(_knock(spec, answer))
        # asyncio itself holds on to its tasks only weakly.
        self._knocks.add(task)
        task.add_done_callback(self._knocks.discard)

    def keep_only(self, wanted: set[TLSSettings]) -> None:
        """Forget the TLS contexts that no record uses any more."""
        self._around.contexts.keep_only(wanted)


async def _knock(spec: ConnectionSpec, answer: Callable[[bool], object]) -> None:
    try:
        async with asyncio.timeout(KNOCK_TIMEOUT):
            transport = await dial(spec, None, asyncio.Protocol, lambda _phase: None)
    except (OSError, UnicodeError):
        answer(False)
    else:
        transport.abort()
        answer(True)
