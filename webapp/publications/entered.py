"""Bytes as people enter them: as text, JSON, hex or Base64, and back again."""

from __future__ import annotations

import base64
import binascii
import json

from flask_babel import gettext as _

from webapp.wording.lazy import lazy_gettext

#: How bytes can be entered.
PLAIN, JSON, HEX, BASE64 = "text", "json", "hex", "base64"
KINDS = [
    (PLAIN, lazy_gettext("Text")),
    (JSON, lazy_gettext("JSON, checked before it is sent")),
    (HEX, lazy_gettext("Hex")),
    (BASE64, "Base64"),
]


class NotBytesError(ValueError):
    """What was entered stands for no bytes; the message says what is wrong."""


def decoded(text: str, kind: object) -> bytes:
    """Return the bytes that `text` stands for. Raises NotBytesError."""
    if kind == HEX:
        return _from_hex(text)
    if kind == BASE64:
        return _from_base64(text)
    if kind == JSON:
        _check_json(text)
    elif kind != PLAIN:
        msg = str(_("Choose how the bytes are entered."))
        raise NotBytesError(msg)
    return text.encode("utf-8")


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        msg = str(_("Enter pairs of hex digits, as in 48 65 6c 6c 6f."))
        raise NotBytesError(msg) from None


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        msg = str(_("This is not Base64: letters, digits, + and /, filled up with =."))
        raise NotBytesError(msg) from None


def _check_json(text: str) -> None:
    try:
        # Numbers are not made: Python refuses long ones, which are JSON all the same.
        json.loads(text, parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise NotBytesError(_where(error)) from None
    except RecursionError:
        msg = str(_("This JSON is nested too deeply to be checked; send it as text."))
        raise NotBytesError(msg) from None


def _refuse_constant(name: str) -> None:
    msg = str(_("This is not JSON: %(name)s is no number there.", name=name))
    raise NotBytesError(msg)


def _where(error: json.JSONDecodeError) -> str:
    return str(
        _(
            "This is not JSON: %(problem)s in line %(line)s, column %(column)s.",
            problem=error.msg,
            line=error.lineno,
            column=error.colno,
        )
    )


def shown(data: bytes, kind: object) -> tuple[str, str]:
    """Return how `data` was entered, and the text to enter it again."""
    if kind == BASE64:
        return BASE64, base64.b64encode(data).decode("ascii")
    if kind in (PLAIN, JSON):
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = "\r"
        if "\r" not in text:
            return str(kind), text
    return (HEX, data.hex(" ")) if data else (PLAIN, "")
