"""Which first answers to an MQTT 5 CONNECT speak against the version, and which against all."""

from __future__ import annotations

import pytest

from mqttworker.core import verdicts
from mqttworker.core.cause import Cause
from tests.support.packets import V5, connack
from tests.support.scripted_broker import ScriptedBroker
from tests.support.scripts import Script
from tests.worker.contract.conftest import OpenTry
from tests.worker.contract.sessions import spec_for

NO_CLEAN_START = b"\x20\x03\x01\x00\x00"

MISFITS = {
    "a Maximum QoS of 2": connack(V5, 0, b"\x24\x02"),
    "a Receive Maximum of 0": connack(V5, 0, b"\x21\x00\x00"),
    "a property twice": connack(V5, 0, b"\x21\x00\x05\x21\x00\x05"),
    "an unknown property": connack(V5, 0, b"\x7e\x00"),
    "an Authentication Method that nobody asked for": connack(V5, 0, b"\x15\x00\x01x"),
    "a text that is no UTF-8": connack(V5, 0, b"\x1f\x00\x01\xff"),
    "properties that end beyond the packet": b"\x20\x03\x00\x00\x09",
    "bytes after the properties": connack(V5) [:1] + b"\x04\x00\x00\x00\x00",
    "a CONNACK of 3.1.1": b"\x20\x02\x00\x00",
    "a CONNACK of 3.1.1 that refuses": b"\x20\x02\x00\x01",
    "a client id that 3.1.1 refuses": b"\x20\x02\x00\x02",
    "a login that 3.1.1 refuses": b"\x20\x02\x00\x04",
    "an unknown code": b"\x20\x03\x00\x42\x00",
    "nothing but the flags": b"\x20\x01\x00",
    "an empty CONNACK": b"\x20\x00",
    "a session that nobody asked for": NO_CLEAN_START,
}  # fmt: skip

OTHERS = {
    "SSH": b"SSH-2.0-OpenSSH_9.9\r\n",
    "SMTP": b"220 mail.example ESMTP, ready for your mail at any time of the day\r\n",
    "HTTP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "Redis": b"-ERR unknown command\r\n",
    "POP3": b"+OK ready\r\n",
    "IMAP": b"* OK ready\r\n",
    "text that begins with a space": b"\x20\x0a" + b"hello, you",
    "reserved flags": b"\x20\x03\x02\x00\x00",
    "a Remaining Length without end": b"\x20\xff\xff\xff\xff",
    "a PUBLISH": b"\x30\x04\x00\x01ab",
    "a PINGRESP": b"\xd0\x00",
    "an AUTH": b"\xf0\x00",
    "a login that MQTT 5 refuses": connack(V5, 0x86),
    "a client id that MQTT 5 refuses": connack(V5, 0x85),
}


def _why(broker: ScriptedBroker, open_try: OpenTry, answer: bytes) -> Cause:
    broker.script = Script(instead_of_connack=answer)
    return open_try(spec_for(broker.port), "5").failure()


@pytest.mark.parametrize("name", MISFITS)
def test_a_connack_that_is_none_of_mqtt_5_speaks_against_the_version(
    scripted_broker: ScriptedBroker, open_try: OpenTry, name: str
) -> None:
    assert verdicts.is_version_refusal(_why(scripted_broker, open_try, MISFITS[name]))


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_connack_and_what_mqtt_5_refuses_says_nothing_of_the_version(
    scripted_broker: ScriptedBroker, open_try: OpenTry, name: str
) -> None:
    assert not verdicts.is_version_refusal(_why(scripted_broker, open_try, OTHERS[name]))
