"""Asks whether a broker still takes TCP connections, once for all who want to know."""

from __future__ import annotations

import gevent
from gevent.event import AsyncResult

from mqttworker.core.limiter import Broker
from mqttworker.core.spec import ConnectionSpec
from mqttworker.ports.transport import Transport

#: Longer than any knock: one that is never answered must not hold connections up, seconds.
ANSWER_TIMEOUT = 5.0


class Doors:
    """One knock at a time for each broker: a thousand lost sessions are one question."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._asked: dict[Broker, AsyncResult[bool]] = {}

    def is_open(self, spec: ConnectionSpec) -> bool:
        """Return whether the broker of `spec` takes TCP connections now."""
        answer = self._asked.get(spec.broker)
        if answer is not None:
            return _wait_for(answer)
        answer = self._asked[spec.broker] = AsyncResult()
        self._transport.knock(spec, answer.set)
        try:
            return _wait_for(answer)
        finally:
            del self._asked[spec.broker]


def _wait_for(answer: AsyncResult[bool]) -> bool:
    try:
        return bool(answer.get(timeout=ANSWER_TIMEOUT))
    except gevent.Timeout:
        return False
