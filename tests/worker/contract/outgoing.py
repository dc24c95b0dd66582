"""Messages that tests publish on a session, and what is told of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent

from mqttworker.core.cause import Cause
from mqttworker.ports.transport import Acknowledgement, OutboundMessage
from tests.support import packets
from tests.support.packets import PacketType
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripted_session import Session
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import PATIENCE, Try, in_thread, spec_for

#: Seconds that a message of others may wait here, and that nothing may happen in.
LONG, SHORT = 30.0, 0.15


class Told:
    """What a session told of the messages that were published on it."""

    def __init__(self, attempt: Try) -> None:
        self.attempt = attempt
        self.ends: list[Cause | None] = []
        self.acknowledged: list[Acknowledgement] = []

    def publish(
        self, payload: object = "", *, qos: int = 1, patience_s: float | None = LONG
    ) -> None:
        """Publish as an operator does, or with a patience of None as we do ourselves."""
        message = OutboundMessage("a", str(payload).encode(), qos, patience_s=patience_s)
        self.attempt.session.publish(message, self.ends.append, self.acknowledged.append)

    def wait(self, count: int) -> list[str]:
        """Wait for so many ends; return their codes, empty for a success."""
        until(lambda: len(self.ends) >= count)
        return [why.code if why else "" for why in self.ends]


def until(condition: Callable[[], bool]) -> None:
    """Wait for `condition()`, which something on this thread makes true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        gevent.sleep(0.005)


def opened(broker: ScriptedBroker, open_try: OpenTry, script: Script) -> tuple[Told, Session]:
    """Return what is told of messages on a new session, and the broker's end of it."""
    broker.script = script
    attempt = open_try(spec_for(broker.port, status_topic="", keepalive_s=60))
    attempt.opened()
    return Told(attempt), broker.sessions[-1]


def window(maximum: int, **script: Any) -> Script:
    """Return a script with this Receive Maximum."""
    return Script(connack_properties=bytes([0x21, maximum >> 8, maximum & 0xFF]), **script)


def sent(broker: ScriptedBroker, session: Session, count: int) -> list[bytes]:
    """Wait until `count` messages have come, and no more; return their payloads."""
    in_thread(broker.wait, lambda: len(session.publishes) >= count)
    gevent.sleep(SHORT)
    assert len(session.publishes) == count
    return [message.payload for message in session.publishes]


def acknowledge(session: Session, index: int, kind: PacketType = PacketType.PUBACK) -> None:
    """Let the broker acknowledge the message that came as number `index`."""
    identifier = session.publishes[index].packet_id
    assert identifier is not None
    session.send(packets.acknowledgement(kind, identifier))
