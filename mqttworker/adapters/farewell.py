"""The end of a session that is up: what came is acknowledged, `offline`, DISCONNECT."""

from __future__ import annotations

import asyncio
import contextlib

from mqttworker.adapters.awaited import Awaited, SessionEndedError
from mqttworker.adapters.gmqtt_client import BrokerClient
from mqttworker.core.receipts import Receipts
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import status_message

#: How long a goodbye may wait for the database to take what was received, seconds.
SETTLE_GRACE = 2.0


async def settle(receipts: Receipts, awaited: Awaited) -> None:
    """Return when all that was taken is acknowledged, for its session may end with us.

    Or after SETTLE_GRACE, or when the session ends before. Each acknowledgement is an answer
    to `awaited`.
    """
    with contextlib.suppress(TimeoutError, SessionEndedError):
        async with asyncio.timeout(SETTLE_GRACE):
            while not receipts.are_settled:
                await awaited.wait()


async def say_goodbye(
    client: BrokerClient, spec: ConnectionSpec, awaited: Awaited, grace: float
) -> None:
    """Publish `offline`, wait up to `grace` seconds for its PUBACK, DISCONNECT.

    Without our DISCONNECT the broker publishes the will, which says the same.
    """
    with contextlib.suppress(TimeoutError, SessionEndedError, OSError):
        async with asyncio.timeout(grace):
            await _publish_offline(client, spec, awaited)
            client.say_goodbye()
            await client.closed()


async def _publish_offline(client: BrokerClient, spec: ConnectionSpec, awaited: Awaited) -> None:
    if not spec.status_topic:
        return
    ack = client.send(status_message(spec, spec.offline_payload, client.maximum_qos))
    if ack is None:
        return
    ack.add_done_callback(lambda _ack: awaited.came())
    while not ack.done():
        await awaited.wait()
