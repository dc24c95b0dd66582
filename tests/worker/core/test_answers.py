"""What a broker's CONNACK and DISCONNECT say, and where they send us."""

from __future__ import annotations

import pytest

from database.reasons import explain
from mqttworker.core.answers import acknowledgement, connack_cause, disconnect_cause
from tests.support import packets

ELSEWHERE = packets.text("b.example:8883")
REFERENCE = bytes([len(ELSEWHERE) + 1, 0x1C]) + ELSEWHERE


@pytest.mark.parametrize(("code", "reason"), [(0x9C, "use_another_server"), (0x9D, "server_moved")])
def test_the_server_to_use_instead_is_named(code: int, reason: str) -> None:
    for why in (
        connack_cause(bytes([0, code]) + REFERENCE, "5"),
        disconnect_cause(bytes([code]) + REFERENCE),
    ):
        assert why is not None
        assert (why.code, why.raw_code) == (reason, code)
        assert "b.example:8883" in explain(why.code, why.detail)


@pytest.mark.parametrize(
    "tail",
    [b"", b"\0", b"\x05\x1c\xff", b"\x03\x1c\0\x09", b"\x02\x24\x01", b"\xff\xff\xff\xff\xff"],
)
def test_a_missing_or_broken_reference_does_not_cost_the_reason(tail: bytes) -> None:
    why = connack_cause(b"\0\x9d" + tail, "5")
    assert why is not None
    assert why.code == "server_moved"
    assert "server" not in why.detail
    assert disconnect_cause(b"\x9d" + tail).code == "server_moved"


def test_an_old_broker_has_no_properties() -> None:
    why = connack_cause(b"\0\x05", "3.1.1")
    assert why is not None
    assert why.code == "not_authorized"


def _reason(text: str) -> bytes:
    said = b"\x1f" + packets.text(text)
    return packets.remaining_length(len(said)) + said


def test_what_a_broker_says_in_its_own_words_is_told() -> None:
    for why in (
        connack_cause(b"\0\x97" + _reason("10 of 10 clients"), "5"),
        disconnect_cause(b"\x97" + _reason("10 of 10 clients")),
    ):
        assert why is not None
        assert explain(why.code, why.detail).endswith(' It says: "10 of 10 clients".')


def test_a_reason_in_words_is_one_short_line_and_no_template() -> None:
    why = disconnect_cause(b"\x97" + _reason("a\r\n\x1b[31m{client_id}\u202eb "))
    assert why.detail["said"] == r"a\r\n\x1b[31m{client_id}\u202eb"
    assert "{client_id}" in explain(why.code, why.detail)
    assert explain("quota_exceeded", {"said": ""}) == explain("quota_exceeded")
    long = b"\x1f" + packets.text("x" * 400)
    why = disconnect_cause(b"\x97" + packets.remaining_length(len(long)) + long)
    assert len(why.detail["said"]) == 300


def test_a_broker_that_repeats_our_password_is_not_quoted_so_far() -> None:
    for tail in (_reason("not canary, canary!"), _reason("x" * 292 + "canary, canary")):
        for why in (
            connack_cause(b"\0\x86" + tail, "5", "canary"),
            disconnect_cause(b"\x86" + tail, "canary"),
        ):
            assert why is not None
            assert "***" in why.detail["said"]
            assert "cana" not in why.detail["said"]
    assert disconnect_cause(b"\x86" + _reason("abc"), "abc").detail["said"] == "abc"
    first = packets.PacketType.PUBACK << 4
    assert acknowledgement(first, b"\0\1\x87" + _reason("canary"), 5, "canary") == (0x87, "***")
