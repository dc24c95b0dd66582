"""The data types of MQTT (section 1.5): read off a packet body, or found malformed."""

from __future__ import annotations

from mqttworker.core.packets import TOPIC_NAME_INVALID, MalformedPacketError, ViolationError


def number(body: bytes, at: int, size: int) -> tuple[int, int]:
    """Return the integer of `size` bytes at `at` and where it ends."""
    end = at + size
    if end > len(body):
        msg = "a packet that ends too early"
        raise MalformedPacketError(msg)
    return int.from_bytes(body[at:end], "big"), end


def variable(body: bytes, at: int) -> tuple[int, int]:
    """Return the Variable Byte Integer at `at` and where it ends (section 1.5.5)."""
    value = 0
    for index in range(4):
        byte, at = number(body, at, 1)
        value |= (byte & 0x7F) << (7 * index)
        if not byte & 0x80:
            if index and not byte:
                msg = "a Variable Byte Integer that takes more bytes than it needs"
                raise MalformedPacketError(msg)
            return value, at
    msg = "a Variable Byte Integer of more than four bytes"
    raise MalformedPacketError(msg)


def binary(body: bytes, at: int) -> tuple[bytes, int]:
    """Return the Binary Data at `at` and where it ends (section 1.5.6)."""
    size, start = number(body, at, 2)
    end = start + size
    if end > len(body):
        msg = "a field that ends beyond its packet"
        raise MalformedPacketError(msg)
    return body[start:end], end


def text(body: bytes, at: int) -> tuple[str, int]:
    """Return the UTF-8 Encoded String at `at` and where it ends (section 1.5.4)."""
    data, end = binary(body, at)
    return decoded(data), end


def pair(body: bytes, at: int) -> tuple[tuple[str, str], int]:
    """Return the UTF-8 String Pair at `at` and where it ends (section 1.5.7)."""
    name, at = text(body, at)
    value, at = text(body, at)
    return (name, value), at


def decoded(data: bytes) -> str:
    """Return `data` as text: no surrogate, nothing overlong, no U+0000."""
    try:
        found = data.decode()
    except UnicodeDecodeError:
        msg = "text that is not UTF-8"
        raise MalformedPacketError(msg) from None
    if "\0" in found:
        msg = "text that holds U+0000"
        raise MalformedPacketError(msg)
    return found


def topic_name(data: bytes) -> str:
    """Return the Topic Name, which is not empty (section 4.7.1). Raises ViolationError."""
    found = decoded(data)
    if "#" in found or "+" in found:
        msg = "a Topic Name that holds a wildcard"
        raise ViolationError(msg, TOPIC_NAME_INVALID)
    return found
