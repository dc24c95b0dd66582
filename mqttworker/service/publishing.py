"""Publishes a message for an operator on the live session, and tells what became of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import gevent
from gevent.event import AsyncResult

from database import publications
from database.outcomes import OUTCOMES
from database.publications import Publication
from mqttworker.core.cause import Cause
from mqttworker.ports.transport import Acknowledgement, OutboundMessage, Session
from mqttworker.service.manager import MQTTConnectionManager

#: How long a message may wait behind others before it is not sent at all, and how long
#: everything may take until the broker has acknowledged it, seconds.
PATIENCE, DEADLINE = 5.0, 10.0

Result = tuple[bool, dict[str, Any]]


class End(NamedTuple):
    """What became of a message."""

    #: Why the broker does not have it, as far as we know; None if it has.
    why: Cause | None
    acknowledgement: Acknowledgement | None
    is_late: bool = False

    @property
    def was_written(self) -> bool:
        """Whether it went out, whatever the broker made of it."""
        if self.why is None or self.acknowledgement is not None:
            return True
        return bool(self.why.detail.get("written"))


def publish(manager: MQTTConnectionManager, parameters: str | None) -> Result:
    """Publish what the parameters of a command want; return (worked, result)."""
    asked = publications.read(parameters)
    if asked is None:
        return _failed("broken_parameters")
    wanted, known = asked
    if known.get(publications.WITHHELD):
        return _failed("publish_withheld")
    for field, problem in publications.problems(wanted).items():
        return _failed("publish_invalid", field=field, problem=problem)
    session = manager.session
    if session is None or not session.is_open:
        return _failed("publish_not_connected", state=manager.state.value)
    end = send(session, wanted)
    if end.was_written:
        manager.sent(wanted.topic, len(wanted.payload))
    return _told(end, wanted.qos)


def send(session: Session, wanted: Publication, deadline: float = DEADLINE) -> End:
    """Publish `wanted` and wait for the broker, `deadline` seconds at most."""
    message = OutboundMessage(
        wanted.topic, wanted.payload, wanted.qos, wanted.retain, wanted.properties, PATIENCE
    )
    heard: list[Acknowledgement] = []
    done: AsyncResult[Cause | None] = AsyncResult()
    session.publish(message, done.set, heard.append)
    try:
        why = done.get(timeout=deadline)
    except gevent.Timeout:
        return End(None, None, is_late=True)
    return End(why, heard[0] if heard else None)


def _told(end: End, qos: int) -> Result:
    """Put the end into words of `database.outcomes`."""
    if end.is_late:
        return _failed("publish_unanswered", seconds=round(DEADLINE))
    if end.acknowledgement is not None:
        return _acknowledged(end.acknowledgement, refused=end.why is not None)
    if end.why is None:
        return True, {"code": "publish_acknowledged" if qos else "publish_written", "detail": {}}
    if end.was_written:
        return _failed("publish_session_ended")
    code = f"publish_{end.why.code}"
    if code == "publish_outbound_queue_full" and "seconds" in end.why.detail:
        code = "publish_overtaken"
    return _failed(code if code in OUTCOMES else end.why.code, **end.why.detail)


def _acknowledged(heard: Acknowledgement, *, refused: bool) -> Result:
    code = "publish_refused" if refused else "publish_acknowledged"
    known = f"{code}_{heard.code:02x}" if heard.code is not None else code
    if heard.is_qos_lowered and not refused:
        known = "publish_qos_lowered"
    return not refused, {
        "code": known if known in OUTCOMES else code,
        "detail": {"number": f"0x{heard.code or 0:02X}"},
        "reason_code": heard.code,
        "said": heard.said,
        "ms": round(heard.seconds * 1000, 1),
    }


def _failed(code: str, **detail: Any) -> Result:
    return False, {"code": code, "detail": detail}
