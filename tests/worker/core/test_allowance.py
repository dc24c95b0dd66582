"""What a CONNACK allows us to publish, and what we then do not try."""

from __future__ import annotations

import pytest

from mqttworker.core import allowance
from mqttworker.core.allowance import Allowance
from tests.support import packets
from tests.support.packets import V5, V311

EVERYTHING = b"\x21\0\x07\x24\x01\x25\0\x27\0\0\x01\0"


def _said(version: int, properties: bytes = b"") -> Allowance:
    return allowance.of_connack(packets.connack(version, properties=properties)[2:], version)


def test_a_broker_that_says_nothing_allows_everything_that_its_version_knows() -> None:
    assert _said(V5) == Allowance()
    assert _said(V311) == Allowance(properties_available=False)
    assert Allowance().refusal("a", bytes(1_000_000), 2, retain=True) is None


def test_what_a_broker_says_is_read() -> None:
    assert _said(V5, EVERYTHING) == Allowance(7, 256, 1, retain_available=False)


@pytest.mark.parametrize(
    ("qos", "retain", "code"),
    [
        (0, False, None),
        (1, False, None),
        (2, False, "qos_not_supported"),
        (0, True, "retain_not_supported"),
    ],
)
def test_what_a_broker_does_not_support_is_not_sent(
    qos: int, retain: bool, code: str | None
) -> None:
    why = _said(V5, EVERYTHING).refusal("a", b"x", qos, retain)
    assert (why.code if why else None) == code


def test_properties_are_for_mqtt_5_only() -> None:
    why = _said(V311).refusal("a", b"x", 0, retain=False, properties=2)
    assert why is not None
    assert why.code == "properties_not_supported"
    assert _said(V311).refusal("a", b"x", 0, retain=False) is None
    assert _said(V5).refusal("a", b"x", 0, retain=False, properties=2) is None


@pytest.mark.parametrize("qos", [0, 1])
@pytest.mark.parametrize("topic", ["a", "ü/漢"])
@pytest.mark.parametrize("size", [0, 100, 120, 200, 20_000])
def test_the_largest_packet_is_measured_to_the_byte(qos: int, topic: str, size: int) -> None:
    payload = bytes(size)
    whole = len(packets.publish(V5, topic, payload, qos=qos))
    assert Allowance(maximum_packet_size=whole).refusal(topic, payload, qos, False) is None
    why = Allowance(maximum_packet_size=whole - 1).refusal(topic, payload, qos, False)
    assert why is not None
    assert (why.code, why.detail) == ("packet_too_large", {"bytes": whole, "limit": whole - 1})
