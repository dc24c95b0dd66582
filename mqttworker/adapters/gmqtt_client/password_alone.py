"""A CONNECT with a password and no user name, which MQTT 5 allows and gmqtt cannot pack."""

from __future__ import annotations

from typing import Any

from gmqtt.mqtt.package import LoginPackageFactor
from gmqtt.mqtt.utils import pack_variable_byte_integer

_CONNECT = 0x10
#: Where the Connect Flags are, counted from the protocol name on, and the one to clear.
_FLAGS_AT, _HAS_USER_NAME = 7, 0x80


def connect_packet(client_id: bytes, password: bytes, *rest: Any, **properties: Any) -> bytes:
    """Return the packet; the arguments are gmqtt's, without the user name."""
    packed = LoginPackageFactor.build_package(client_id, b"", password, *rest, **properties)
    return _without_user_name(bytes(packed), password)


def _without_user_name(packet: bytes, password: bytes) -> bytes:
    """Take an empty User Name out of a CONNECT, its flag and its length of two bytes."""
    start = 1
    while packet[start] & 0x80:
        start += 1
    body = bytearray(packet[start + 1 :])
    body[_FLAGS_AT] &= ~_HAS_USER_NAME
    # It stands before the Password, which ends the packet.
    at = len(body) - len(password) - 4
    del body[at : at + 2]
    return bytes([_CONNECT]) + bytes(pack_variable_byte_integer(len(body))) + bytes(body)
