"""Whether a port that hung up on plain MQTT speaks TLS: asked with a short handshake."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

from mqttworker.adapters.dial import dial
from mqttworker.adapters.failures import NOT_TLS
from mqttworker.adapters.tls import bare_context
from mqttworker.core.cause import Cause, cause
from mqttworker.core.spec import ConnectionSpec

#: How long the handshake may take, seconds.
HANDSHAKE_TIMEOUT = 2.0
#: How long an answer holds, seconds: the port is not asked again meanwhile.
ANSWER_HOLDS = 300.0

Broker = tuple[str, int]


class PortCheck:
    """Explains a broker that hung up before its CONNACK, asking each port now and then."""

    def __init__(self) -> None:
        #: When each port was asked, and what came of it; None while it is being asked.
        self._asked: dict[Broker, tuple[float, bool | None]] = {}

    async def explain(self, why: Cause, spec: ConnectionSpec, seconds: float) -> Cause:
        """Return `why`, or that the port expects TLS, within `seconds`."""
        if why.code != "closed_before_connack" or spec.tls is not None or seconds <= 0:
            return why
        if await self._speaks_tls(spec, min(seconds, HANDSHAKE_TIMEOUT)):
            return cause("tls_expected", raw_code=why.raw_code)
        return why

    async def _speaks_tls(self, spec: ConnectionSpec, seconds: float) -> bool:
        now = asyncio.get_running_loop().time()
        self._asked = {
            broker: (at, answer)
            for broker, (at, answer) in self._asked.items()
            if now - at < ANSWER_HOLDS
        }
        if spec.broker in self._asked:
            return bool(self._asked[spec.broker][1])
        self._asked[spec.broker] = now, None
        try:
            answer = await _takes_a_handshake(spec, seconds)
        except asyncio.CancelledError:
            # Whoever tries next may ask again.
            self._asked.pop(spec.broker, None)
            raise
        self._asked[spec.broker] = now, answer
        return answer


async def _takes_a_handshake(spec: ConnectionSpec, seconds: float) -> bool:
    """Whether the broker's port answers a TLS handshake; who it is does not matter."""
    context = bare_context(verify=False)
    brief = replace(spec, connect_timeout_s=seconds)
    try:
        async with asyncio.timeout(seconds):
            transport = await dial(brief, context, asyncio.Protocol, lambda _phase: None)
    except ssl.SSLError as error:
        # A refusal in the words of TLS is an answer, too.
        return error.reason not in NOT_TLS
    except (OSError, UnicodeError):
        return False
    transport.abort()
    return True
