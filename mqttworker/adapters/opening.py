"""From a spec to a CONNECT on its way."""

from __future__ import annotations

import ssl
from collections.abc import Callable

from mqttworker.adapters.awaited import SessionEndedError
from mqttworker.adapters.dial import dial
from mqttworker.adapters.failures import Phase, undone_cause
from mqttworker.adapters.gmqtt_client import BrokerClient, PacketReader
from mqttworker.adapters.tls import is_given_up, peer_certificate
from mqttworker.core.cause import Cause
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import Certificate


async def open_socket(
    spec: ConnectionSpec,
    context: ssl.SSLContext | None,
    client: BrokerClient,
    reader_for: Callable[[BrokerClient], PacketReader],
    enter: Callable[[Phase], None],
    on_dead: Callable[[Cause], None],
) -> Certificate | None:
    """Dial and let `client` send CONNECT; return the certificate that the broker showed.

    `enter` hears of each phase as it begins, `on_dead` of a broker that fell silent later.
    Raises OSError, also for TLS, and SessionEndedError.
    """
    # One for each address that was tried; a socket that closed has forgotten its own.
    readers: list[PacketReader] = []

    def factory() -> PacketReader:
        readers.append(reader_for(client))
        return readers[-1]

    transport = await dial(spec, context, factory, enter)
    had_failed = is_given_up(transport)
    await client.start(transport, readers[-1], on_dead)
    if context is None:
        return None
    if is_given_up(transport) and not had_failed:
        raise SessionEndedError(undone_cause())
    return peer_certificate(transport)
