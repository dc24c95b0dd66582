"""Which MQTT version `auto` tries next, and what is told of the other one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from database.words import Protocol
from mqttworker.core import verdicts
from mqttworker.core.cause import Cause, cause

#: What helps least to find the fault comes first; every other code helps more.
_LEAST_HELPFUL = ("unsupported_protocol_version", "connack_timeout", "closed_before_connack")
#: Why 3.1.1 is not tried with a login that it cannot carry.
UNTRIED = cause("password_needs_user_name")


def other(protocol: str) -> str:
    """Return the MQTT version that `auto` tries when `protocol` does not work."""
    return Protocol.V5 if protocol == Protocol.V311 else Protocol.V311


def to_try(protocol: str, *, needs_mqtt_5: bool) -> list[str]:
    """Return the MQTT versions of a record that asks for `protocol`, the first one first."""
    if protocol != Protocol.AUTO:
        return [protocol]
    return [Protocol.V5] if needs_mqtt_5 else [Protocol.V5, Protocol.V311]


def helpfulness(protocol: str, why: Cause) -> tuple[int, bool]:
    """Return how much the reason for which a version did not work helps to find the fault.

    On a tie MQTT 5 comes first: what is shown must not change with every try.
    """
    is_least = why.code in _LEAST_HELPFUL
    rank = _LEAST_HELPFUL.index(why.code) if is_least else len(_LEAST_HELPFUL)
    return rank, protocol == Protocol.V5


def told(protocol: str, why: Cause, other_why: Cause | None) -> Cause:
    """Return the reason that is shown when `protocol` failed with `why`.

    `other_why` is why the other version failed before, if it did. The more helpful of the two
    comes first.
    """
    if other_why is None:
        return why
    tried = (protocol, why), (other(protocol), other_why)
    (_, first), (second_protocol, second) = sorted(
        tried, key=lambda each: helpfulness(*each), reverse=True
    )
    return beside(first, second_protocol, second)


def beside(why: Cause, protocol: str, other_why: Cause) -> Cause:
    """Return `why` with the reason for which the version `protocol` did not work."""
    if (why.code, why.detail) == (other_why.code, other_why.detail):
        return why
    told_too: Mapping[str, Any] = {
        "protocol": protocol,
        "code": other_why.code,
        "detail": dict(other_why.detail),
    }
    return replace(why, detail={**why.detail, "other_version": told_too})


def goes_back(why: Cause, other_why: Cause) -> bool:
    """Whether MQTT 5 has its turn again after a try with 3.1.1 that ended with `why`.

    `other_why` is why MQTT 5 was given up. A broker that said that it does not know MQTT 5
    is believed; one whose answer was odd, or did not come, may have been mended since.
    """
    if why.code in verdicts.BEFORE_CONNECT or why.code in verdicts.BUSY:
        return False
    if other_why.code == "protocol_error":
        return True
    is_silent = other_why.code in {"connack_timeout", "closed_before_connack"}
    return is_silent and why.code not in verdicts.REFUSALS
